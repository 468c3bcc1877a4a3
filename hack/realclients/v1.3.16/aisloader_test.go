package realclients

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/NVIDIA/aistore/api"
	_ "github.com/NVIDIA/aistore/bench/aisloader" // keeps what it needs in go.sum
)

// total is a line of aisloader's last table: operation, count and, at the end,
// errors.
var total = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\s+(PUT|GET)\s+([\d,]+)\s.*\s(\d+)\s*$`)

// TestAisloader runs AIStore's load generator: it fills a bucket, reads it,
// reads it through an ETL, and removes it. Its -verifyhash is left out: like
// HEAD above it panics over a checksum of the type xxhash2.
func TestAisloader(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "aisloader")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "github.com/NVIDIA/aistore/cmd/aisloader").CombinedOutput()
	require.NoError(t, err, "%s", out)
	spec := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(spec, pod("hpush://"), 0o644))
	// It only stops its ETL.
	t.Cleanup(func() { require.NoError(t, api.ETLDelete(params(t), "transformer-md5")) })
	u, err := url.Parse(os.Getenv("AIS_ENDPOINT"))
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		args []string
		ops  []string
	}{
		{"put", []string{"-pctput", "100", "-totalputsize", "2M", "-minsize", "4K", "-maxsize", "64K", "-cleanup=false"}, []string{"PUT"}},
		{"get", []string{"-pctput", "0", "-cleanup=false"}, []string{"GET"}},
		{"get through an ETL", []string{"-pctput", "0", "-etl-spec", spec, "-cleanup=false"}, []string{"GET"}},
		{"mixed, and cleanup", []string{"-pctput", "50", "-minsize", "4K", "-maxsize", "8K", "-cleanup=true"}, []string{"PUT", "GET"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := append([]string{"-ip", u.Hostname(), "-port", u.Port(), "-bucket", "ais://aisloader", "-duration", "2s",
				"-numworkers", "4", "-statsinterval", "0"}, tt.args...)
			out, err := exec.CommandContext(ctx, exe, args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			var ops []string
			for _, m := range total.FindAllStringSubmatch(string(out), -1) {
				require.NotEqual(t, "0", m[2], "%s", out)
				require.Equal(t, "0", m[3], "errors: %s", out)
				ops = append(ops, m[1])
			}
			require.ElementsMatch(t, tt.ops, ops, "%s", out)
		})
	}
}
