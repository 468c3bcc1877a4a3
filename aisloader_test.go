package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

// imported is the scenario of aisloader's flags and what was said of them.
func imported(t *testing.T, flags string, sets ...string) (*scenarios.Scenario, string, string, error) {
	t.Helper()
	var said bytes.Buffer
	e := &env{err: &said, lookup: func(string) (string, bool) { return "", false }}
	s, proxy, err := aisloaderScenario(e, strings.Fields(flags), sets)
	return s, proxy, said.String(), err
}

func TestAisloader(t *testing.T) {
	s, proxy, said, err := imported(t, "-bucket=b -ip 10.0.0.1 -port=51080 -duration 90s -numworkers=16 -pctput=25 -pctupdate=20"+
		" --minsize=1K -maxsize=1MB -seed=7 -etl=md5 -verifyhash -cleanup=false -timeout=2m -randomproxy -readoff=0")
	require.NoError(t, err)
	require.Equal(t, "http://10.0.0.1:51080", proxy)
	require.Equal(t, []string{proxy}, s.Target.Proxies)
	require.Equal(t, "ais://b", s.Target.Bucket)
	require.Equal(t, scenarios.Duration(90*time.Second), s.Phases.Measure)
	require.Zero(t, s.Phases.Warmup)
	require.Equal(t, 16, s.Load.Workers)
	// Of 100 operations 25 put, and of 75 that get 15 put besides.
	require.Equal(t, map[string]int{scenarios.OpGetETL: 7500, scenarios.OpPut: 4000}, s.Load.Mix)
	require.Equal(t, scenarios.Size{Dist: scenarios.DistUniform, Min: 1 << 10, Max: 1 << 20}, s.Dataset.Size)
	require.Equal(t, uint64(7), s.Seed)
	require.Equal(t, []string{"md5"}, s.Transforms)
	require.Equal(t, []string{"hpush"}, s.Arms.Comm)
	require.Equal(t, scenarios.SampleAll, s.Verify.Content)
	require.Equal(t, scenarios.Duration(2*time.Minute), s.Load.Timeout)
	require.Contains(t, said, "-numworkers=16: translated as load.workers=16\n")
	require.Contains(t, said, "-randomproxy=true: no meaning here: ")
	require.Contains(t, said, "-readoff=0: honoured")
	require.Equal(t, 16, strings.Count(said, "\n"), "a line for each flag: %s", said)
}

func TestAisloaderDefaults(t *testing.T) {
	s, proxy, said, err := imported(t, "-cleanup=true", "load.workers=3")
	require.NoError(t, err)
	require.Empty(t, proxy)
	require.Empty(t, s.Target.Proxies)
	require.Equal(t, 3, s.Load.Workers, "--set comes last")
	require.Equal(t, scenarios.Duration(time.Minute), s.Phases.Measure)
	require.Equal(t, map[string]int{scenarios.OpGet: 10000}, s.Load.Mix)
	require.Equal(t, scenarios.KeysPermutation, s.Load.Keys.Dist)
	require.Equal(t, scenarios.SampleSize, s.Verify.Content)
	require.Contains(t, said, "-duration=1m0s (not given): translated as phases.measure=1m0s")
}

func TestAisloaderEnds(t *testing.T) {
	for flags, want := range map[string]struct{ objects, epochs int }{
		"-pctput=100 -maxsize=1M -totalputsize=10M":              {10, 1},
		"-pctput=100 -maxsize=1M -totalputsize=10M -duration=5s": {10, 1},
		"-pctput=100 -minsize=1M -maxsize=3M -totalputsize=5MiB": {3, 1},
		"-pctput=100 -maxsize=1M -maxputs=7 -totalputsize=10M":   {7, 1},
		"-pctput=100 -maxsize=1M -maxputs=70 -totalputsize=10M":  {10, 1},
		"-pctput=100 -maxsize=0 -minsize=0 -maxputs=5":           {5, 1},
		"-epochs=3": {64, 3},
		"-epochs=3 -duration=5s -pctput=10 -maxsize=1M -maxputs=10": {64, 3},
		"-duration=5s -pctput=10 -maxsize=1M -totalputsize=1G":      {64, 0},
		"-duration=5s -totalputsize=1G":                             {64, 0},
	} {
		t.Run(flags, func(t *testing.T) {
			s, _, said, err := imported(t, flags)
			require.NoError(t, err, said)
			require.Equal(t, want.objects, s.Dataset.Objects)
			require.Equal(t, want.epochs, s.Load.Epochs)
			require.Equal(t, want.epochs > 0, s.Phases.Measure == 0)
		})
	}
}

func TestAisloaderRefuses(t *testing.T) {
	for flags, want := range map[string]string{
		"-readlen=1K":                         "-readlen=1K: refused: objects are read as a whole",
		"-arch.list":                          "-arch.list=true: refused: ",
		"-provider=aws":                       "-provider=aws: refused: buckets are ais:// here",
		"-bucket=s3://b":                      "only ais:// buckets",
		"-etl=tar2tf":                         `-etl=tar2tf: refused: transform "tar2tf": have burn`,
		"-etl=md5 -etl-spec=x":                "-etl=md5: refused: -etl-spec names an ETL, too",
		"-etl-spec=nosuch.yaml":               "no such file",
		"-duration=0s":                        "-duration=0s: refused: a run has to end",
		"-pctput=101":                         "-pctput=101: refused: want 0 to 100",
		"-pctupdate=-1":                       "-pctupdate=-1: refused: want 0 to 100",
		"-pctput=50":                          "aisloader would put objects of 1MiB to 1GiB",
		"-pctput=50 -maxsize=1M -maxputs=5":   "-maxputs=5: refused: a mix ends by time",
		"-pctput=100 -maxputs=5 -epochs=2":    "-epochs=2: refused: ",
		"-minsize=2M -maxsize=1M":             "-minsize=2MiB: refused: it is above -maxsize",
		"-seed=-1":                            "-seed=-1: refused: ",
		"-s3endpoint=http://127.0.0.1:1":      "not S3",
		"-get-batchsize=5 -dry-run -readoff=": "-get-batchsize=5: refused: ",
	} {
		t.Run(flags, func(t *testing.T) {
			_, _, said, err := imported(t, flags)
			requireMisuse(t, err, "of aisloader's flags cannot be had here: see above")
			require.Contains(t, said, want)
		})
	}
	for flags, want := range map[string]string{
		"-numworker=1":         "flag provided but not defined: -numworker",
		"-maxsize=1X":          "want a number and K, M, G or T",
		"-maxsize=9e9G":        "want a number and K, M, G or T",
		"-maxsize=9000000000G": "too large",
		"stray":                `"stray" is none`,
		"-duration=10":         "for flag -duration",
	} {
		t.Run(flags, func(t *testing.T) {
			_, _, _, err := imported(t, flags)
			requireMisuse(t, err, want)
		})
	}
	_, _, _, err := imported(t, "-numworkers=0")
	require.ErrorContains(t, err, "load.workers")
}

// A Pod is taken for the sample that its image is, and for nothing else.
func TestAisloaderSpec(t *testing.T) {
	spec := func(image, comm, more string) string {
		file := filepath.Join(t.TempDir(), "pod.yaml")
		require.NoError(t, os.WriteFile(file, []byte(`apiVersion: v1
kind: Pod
metadata: {name: t, annotations: {communication_type: "`+comm+`"}}
spec:
  containers:
    - name: server
      image: `+image+more+`
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`), 0o600))
		return "-etl-spec=" + file
	}
	for _, tt := range []struct{ image, comm, more, transform, wantComm string }{
		{"etlbench/md5", "hpull://", "", "md5", "hpull"},
		{"aistorage/transformer_md5:latest", "${COMM:-hrev://}", "", "md5", "hrev"},
		{"etlbench/sleep", "", "\n      args: [5ms]", "sleep-5ms", "hpush"},
	} {
		s, _, said, err := imported(t, spec(tt.image, tt.comm, tt.more))
		require.NoError(t, err, said)
		require.Equal(t, []string{tt.transform}, s.Transforms)
		require.Equal(t, []string{tt.wantComm}, s.Arms.Comm)
	}
	for _, tt := range []struct{ image, more, want string }{
		{"my/md5", "", "image my/md5 is not a sample transform"},
		{"md5", "", "image md5 is not a sample transform"},
		{"etlbench/md5", "\n      command: [/bin/false]", "not a sample transform as it is"},
		{"aistorage/transformer_keras", "", "not a sample transform"},
	} {
		_, _, said, err := imported(t, spec(tt.image, "hpush://", tt.more))
		require.Error(t, err)
		require.Contains(t, said, tt.want)
	}
}
