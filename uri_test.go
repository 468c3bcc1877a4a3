package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// requireMisuse checks that an error is one of the command line, in one line.
func requireMisuse(t *testing.T, err error, want string) {
	t.Helper()
	require.ErrorContains(t, err, want)
	require.NotContains(t, err.Error(), "\n")
	var coded *exitError
	require.True(t, errors.As(err, &coded))
	require.Equal(t, exitUsage, coded.code)
}

func TestParseObject(t *testing.T) {
	tests := []struct{ arg, bucket, object, want string }{
		{"ais://b/o", "b", "o", ""},
		{"b/o", "b", "o", ""},
		{"b/dir/a b", "b", "dir/a b", ""},
		{"b/a://c", "", "", "only ais:// buckets"}, // as every tool reads a scheme
		{"b/ais", "b", "ais", ""},
		{"b", "", "", "an object is wanted"},
		{"ais://b/", "", "", "an object is wanted"},
		{"", "", "", "it is empty"},
		{"ais://", "", "", "it is empty"},
		{"gs://b/o", "", "", "only ais:// buckets are known here"},
		{"b/../o", "", "", "invalid object name"},
		{"b/" + strings.Repeat("x", 2000), "", "", "at most 1024"},
		{"@#ns/b/o", "", "", "may only contain"},
	}
	for _, tt := range tests {
		t.Run(tt.arg, func(t *testing.T) {
			b, object, err := parseObject(tt.arg)
			if tt.want != "" {
				requireMisuse(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, api.AIS(tt.bucket), b)
			require.Equal(t, tt.object, object)
		})
	}
	_, err := parseBucket("ais://b/o")
	requireMisuse(t, err, "a bucket is wanted")
	b, err := parseBucket("b/")
	require.NoError(t, err)
	require.Equal(t, api.AIS("b"), b)
}

func TestParsePairs(t *testing.T) {
	tests := []struct {
		text string
		want map[string]string // nil is refused
	}{
		{"jpg:png", map[string]string{"jpg": "png"}},
		{"{in1:out1, in2:out2}", map[string]string{"in1": "out1", "in2": "out2"}},
		{`{"jpg": "png"}`, map[string]string{"jpg": "png"}},
		{".tar:.tgz", map[string]string{"tar": "tgz"}},
		{"", nil}, {"{}", nil}, {"jpg", nil}, {"jpg:", nil}, {"a:b,", nil}, {":b", nil},
	}
	for _, tt := range tests {
		got, err := parsePairs("--ext", tt.text)
		if tt.want == nil {
			requireMisuse(t, err, "must be pairs such as")
			continue
		}
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.want, got, tt.text)
	}
}
