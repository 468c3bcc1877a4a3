package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// TestCodeSpeaksBothDialects: each release of AIStore that knew code finds the
// name that it looks for, as far as the name keeps its rule.
func TestCodeSpeaksBothDialects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "code.py")
	require.NoError(t, os.WriteFile(file, []byte("def transform(b): return b"), 0o600))
	tests := []struct{ name, id, key string }{
		{"etl-upper", "etl-upper", "etl-upper"},
		{"etl_Upper", "etl_Upper", ""},
		{"1st-upper", "", "1st-upper"},
		{"a-name-that-is-too-long", "", "a-name-that-is-too-long"},
	}
	for _, tt := range tests {
		f := initFlags{name: tt.name, file: file, comm: "hpull", runtime: "python3", initTimeout: time.Minute}
		s, err := f.code()
		require.NoError(t, err)
		require.Equal(t, tt.id, s.ID)
		require.Equal(t, tt.key, s.Name)
		require.Equal(t, tt.name, s.ETLName())
		require.Equal(t, "hpull://", s.Communication)
		require.JSONEq(t, `"python3"`, string(s.Runtime))
		require.Equal(t, time.Minute, time.Duration(s.InitTimeout))
		if tt.id != "" {
			require.Equal(t, s.InitTimeout, s.Timeout)
		}
	}
	for _, name := range []string{"", "short", "with space", "-Dash-", strings.Repeat("x", 33)} {
		f := initFlags{name: name, file: file}
		_, err := f.code()
		requireMisuse(t, err, "invalid etl name")
	}
}

func TestSpecsSpeakTheirDialects(t *testing.T) {
	tests := []struct {
		spec    api.ETLSpec
		id, key string
	}{
		{api.ETLSpec{Name: "etl-upper", Spec: api.Blob("kind: Pod")}, "etl-upper", "etl-upper"},
		{api.ETLSpec{Name: "etl_Upper", Spec: api.Blob("kind: Pod")}, "etl_Upper", ""},
		{api.ETLSpec{Name: "etl-upper", Runtime: []byte(`{"image":"x"}`)}, "", "etl-upper"},
		{api.ETLSpec{Name: "etl_Upper", Runtime: []byte(`{"image":"x"}`)}, "etl_Upper", ""},
	}
	for _, tt := range tests {
		require.NoError(t, setName(&tt.spec, tt.spec.Name))
		require.Equal(t, tt.id, tt.spec.ID)
		require.Equal(t, tt.key, tt.spec.Name)
		require.Equal(t, defaultInit, time.Duration(tt.spec.InitTimeout))
	}
}

// TestFlagsOutweighTheFile, but only those that were given.
func TestFlagsOutweighTheFile(t *testing.T) {
	cmd := etlInitCmd(&remote{e: &env{}})
	spec, _, err := cmd.Find([]string{"spec"})
	require.NoError(t, err)
	require.NoError(t, spec.ParseFlags([]string{"--support-direct-put=false", "--comm-type", "hrev", "--obj-timeout", "3s"}))
	f := initFlags{comm: "hrev", objTimeout: 3 * time.Second}
	s := &api.ETLSpec{Name: "etl-name", Communication: "hpush://", Argument: "fqn", DirectPut: true, InitTimeout: api.Duration(time.Hour)}
	require.NoError(t, f.change(s, spec.Flags()))
	require.Equal(t, "hrev://", s.Communication)
	require.False(t, s.DirectPut)
	require.Equal(t, "fqn", s.Argument)
	require.Equal(t, time.Hour, time.Duration(s.InitTimeout))
	require.Equal(t, 3*time.Second, time.Duration(s.ObjTimeout))
}
