// Program bench measures the data path beside yardsticks, in interleaved
// blocks of one run: make bench. It starts the yardsticks, writes a scenario
// with each of them as an endpoint, has etlbench run it, and reads the ratios
// that the data path is held to from the run folder.
//
// Yardsticks are a net/http server (nethttp), a net/http target with a pod that
// echoes (nethttp-hpush), the least that Go can do with epoll (epoll), and nginx
// where it is installed. "get" and "get-again" are plain GETs of our own
// target: what they differ in is noise. Python, offline jobs
// and loaders have runs of their own, the last beside a net/http loader and wrk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

func main() {
	if url := os.Getenv(loadEnv); url != "" {
		if err := load(url, os.Getenv(loadForEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "bench: net/http loader:", err)
			os.Exit(1)
		}
		return
	}
	if kind := os.Getenv(serveEnv); kind != "" {
		fmt.Fprintln(os.Stderr, "bench:", kind+":", serve(kind))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, parse()); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	etlbench, out, base string
	comms, sizes, conns string
	blocks              int
	measure             time.Duration
	memory, withPython  bool
	withOffline         bool
}

func parse() (o options) {
	flag.StringVar(&o.etlbench, "etlbench", "bin/etlbench", "the program")
	flag.StringVar(&o.out, "out", "", "run folder (default: a new one below runs)")
	flag.StringVar(&o.base, "base", "", "URL of a server or cluster to measure too, by plain GETs")
	flag.StringVar(&o.comms, "comm", "hpush,hpull,hrev,ws,shm", "communication types")
	flag.StringVar(&o.sizes, "sizes", "4KiB,64KiB,1MiB,16MiB", "of objects")
	flag.StringVar(&o.conns, "conns", "1,16,64", "connections at once")
	flag.IntVar(&o.blocks, "blocks", 6, "how often each is measured")
	flag.DurationVar(&o.measure, "for", time.Second, "how long each time")
	flag.BoolVar(&o.memory, "memory", false, "see too what memory a target takes under 64 GETs of 1 GiB at once")
	flag.BoolVar(&o.withPython, "python", true, "see too what Python costs, under io:// and as code")
	flag.BoolVar(&o.withOffline, "offline", true, "see too how jobs of 10,000 small objects fare, 3 minutes")
	flag.Parse()
	if o.out == "" {
		o.out = filepath.Join("runs", time.Now().Format("20060102-150405")+"-bench")
	}
	return o
}

func bench(ctx context.Context, o options) error {
	work, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	endpoints, stop, err := yardsticks(work, o.base)
	defer stop()
	if err != nil {
		return err
	}
	s, err := o.run(ctx, work, o.out, scenario(o, endpoints))
	if err != nil {
		return err
	}
	var memory *results.Summary
	if o.memory {
		if memory, err = o.run(ctx, work, o.out+"-memory", fmt.Sprintf(memoryScenario, o.comms)); err != nil {
			return err
		}
	}
	var py *pythonRuns
	if o.withPython {
		if py, err = o.python(ctx, work); err != nil {
			return err
		}
	}
	var offline *results.Summary
	if o.withOffline {
		if offline, err = o.run(ctx, work, o.out+"-offline", o.offlineYAML()); err != nil {
			return err
		}
	}
	loaders, err := o.loaders(ctx, work)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.out, "ratios.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	return judge(io.MultiWriter(os.Stdout, f), s, memory, py.write, writeOffline(offline), loaders.write)
}

// run has etlbench run a scenario into a folder. What it says of a run that is
// not valid is told, and the numbers are looked at all the same.
func (o *options) run(ctx context.Context, work, dir, yaml string, more ...string) (*results.Summary, error) {
	file := filepath.Join(work, "bench.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, o.etlbench, append([]string{"run", file, "--out", dir}, more...)...)
	cmd.Stderr = os.Stderr // the report is in the folder
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	runErr := cmd.Run()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	run, err := results.Read(dir)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	return &run.Summary, nil
}

// memoryScenario has 64 GETs of 1 GiB under way at once, plain and through pods.
const memoryScenario = `apiVersion: etlbench/v1
name: bench-memory
transforms: [echo]
target: {targets: 1}
dataset: {objects: 1, size: 1GiB}
arms: {comm: [%s], endpoints: {get: cluster}}
load: {direct: true, workers: 64, timeout: 10m}
phases: {warmup: 0s, measure: 5s}
verify: {content: size}
collect: {phases: off}
`

// yardsticks starts all, and gives their URLs by name.
func yardsticks(work, base string) (endpoints map[string]string, stop func(), err error) {
	endpoints = map[string]string{"get": "cluster", "get-again": "cluster"}
	var all []*running
	stop = func() {
		for _, r := range all {
			r.Stop(context.Background(), patience)
		}
	}
	if base != "" {
		endpoints["base"] = strings.TrimSuffix(base, "/")
	}
	dir := filepath.Join(work, "objects")
	for _, kind := range []string{"nethttp", "nethttp-hpush", "epoll", "nginx"} {
		var r *running
		if kind == "nginx" {
			r, err = startNginx(work, dir)
		} else {
			r, err = start(kind, dir)
		}
		if err != nil {
			return nil, stop, err
		}
		if r != nil {
			all = append(all, r)
			endpoints[kind] = r.URL
		}
	}
	return endpoints, stop, nil
}

// scenario is what is run. Of each size there are as many objects as stay in
// the page cache; a hundredth of what comes back is compared byte by byte, of
// the rest the size: a client that hashes all would be what is measured.
func scenario(o options, endpoints map[string]string) string {
	var at strings.Builder
	for name, url := range endpoints {
		fmt.Fprintf(&at, "    %s: %q\n", name, url)
	}
	return fmt.Sprintf(`apiVersion: etlbench/v1
name: bench
transforms: [echo]
target: {targets: 1}
dataset: {objects: 64, max-bytes: 64MiB}
arms:
  comm: [%s]
  size: [%s]
  workers: [%s]
  endpoints:
%sload: {direct: true}
phases: {warmup: 100ms, measure: %s}
trials: {blocks: %d}
verify: {content: sample 1%%}
collect: {phases: off}
`, o.comms, o.sizes, o.conns, &at, o.measure, o.blocks)
}
