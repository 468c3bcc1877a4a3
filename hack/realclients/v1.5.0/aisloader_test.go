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
	"github.com/NVIDIA/aistore/api/apc"
	_ "github.com/NVIDIA/aistore/bench/tools/aisloader" // keeps what it needs in go.sum
	"github.com/NVIDIA/aistore/cmn"
)

// total is a line of aisloader's last table: operation, count and, at the end,
// errors.
var total = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\s+(PUT|GET)\s+([\d,]+)\s.*\s(\d+)\s*$`)

// aisloaderPod is the Pod of a sample transform as aisloader reads it: with
// a name, and by its annotations.
func aisloaderPod(t *testing.T, name, comm string) string {
	path := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`apiVersion: v1
kind: Pod
metadata:
  name: `+name+`
  annotations: {communication_type: "`+comm+`", wait_timeout: 1m}
spec:
  containers:
    - name: server
      image: etlbench/md5
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`), 0o644))
	return path
}

// TestAisloader runs AIStore's load generator: it fills a bucket, reads and
// verifies it by whichever proxy, reads it through ETLs that it starts itself,
// whose ids it takes for their names, and removes the bucket.
func TestAisloader(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "aisloader")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "github.com/NVIDIA/aistore/cmd/aisloader").CombinedOutput()
	require.NoError(t, err, "%s", out)
	u, err := url.Parse(os.Getenv("AIS_ENDPOINT"))
	require.NoError(t, err)
	small := []string{"-minsize", "4K", "-maxsize", "64K"}
	for _, tt := range []struct {
		name string
		args []string
		ops  []string
		comm string // of an ETL
	}{
		{"put", append(small, "-pctput", "100", "-totalputsize", "2M", "-cleanup=false"), []string{"PUT"}, ""},
		{"get, verified", []string{"-pctput", "0", "-verifyhash", "-cleanup=false"}, []string{"GET"}, ""},
		{"get by any proxy", []string{"-pctput", "0", "-verifyhash", "-randomproxy", "-cleanup=false"}, []string{"GET"}, ""},
		{"get ranges", []string{"-pctput", "0", "-readoff", "100", "-readlen", "1000", "-cleanup=false"}, []string{"GET"}, ""},
		{"get over hpush", []string{"-pctput", "0", "-cleanup=false"}, []string{"GET"}, "hpush://"},
		{"get over hpull", []string{"-pctput", "0", "-randomproxy", "-cleanup=false"}, []string{"GET"}, "hpull://"},
		{"put with another checksum", append(small, "-pctput", "100", "-cksum-type", "md5", "-totalputsize", "1M", "-cleanup=false"), []string{"PUT"}, ""},
		{"mixed, and cleanup", append(small, "-pctput", "50", "-pctupdate", "20", "-cleanup=true"), []string{"PUT", "GET"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := append([]string{"-ip", u.Hostname(), "-port", u.Port(), "-bucket", "ais://aisloader-today", "-duration", "1s",
				"-numworkers", "4", "-statsinterval", "0", "-quiet"}, tt.args...)
			if tt.comm != "" {
				const name = "transformer-md5"
				args = append(args, "-etl-spec", aisloaderPod(t, name, tt.comm))
				// It only stops its ETL.
				t.Cleanup(func() { require.NoError(t, api.ETLDelete(params(t), name)) })
			}
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
	left, err := api.ListBuckets(params(t), cmn.QueryBcks{Provider: apc.AIS, Name: "aisloader-today"}, apc.FltPresent)
	require.NoError(t, err)
	require.Empty(t, left, "aisloader removes its bucket")
}
