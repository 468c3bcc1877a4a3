package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/etlbench/etlbench/reports/results"
)

const (
	loadEnv    = "BENCH_LOAD"     // a process of this program loads this URL
	loadForEnv = "BENCH_LOAD_FOR" // for so long
	toEnv      = "BENCH_TO"       // where the redirecting yardstick sends clients
)

// loadersScenario has our loader ask the barest server, as it is and behind one
// that redirects to it, as a proxy does.
const loadersScenario = `apiVersion: etlbench/v1
name: bench-loaders
transforms: [echo]
target: {targets: 1}
dataset: {objects: 64}
arms:
  comm: [hpush]
  size: [4KiB]
  workers: [%d]
  endpoints:
    straight: %q
    redirected: %q
phases: {warmup: 100ms, measure: %s}
trials: {blocks: 1}
verify: {content: size}
collect: {phases: off}
`

// loaderCosts are a loader's CPU microseconds an operation, one a block: GETs of
// 4 KiB from one server. wrk's are missing where it is not installed.
type loaderCosts struct {
	straight, redirected []float64 // ours
	nethttp, wrk         []float64 // redirected, and straight
}

// loaders takes turns with our loader and others.
func (o *options) loaders(ctx context.Context, work string) (*loaderCosts, error) {
	dir := filepath.Join(work, "loaders")
	server, err := start("epoll", dir)
	if err != nil {
		return nil, err
	}
	defer server.Stop(context.Background(), patience)
	redirect, err := start("redirect", dir, toEnv+"="+server.URL)
	if err != nil {
		return nil, err
	}
	defer redirect.Stop(context.Background(), patience)
	const object = "/v1/objects/loaders/one"
	if err := (store{dir}).put(object, bytes.NewReader(make([]byte, 4<<10))); err != nil {
		return nil, err
	}
	c := &loaderCosts{}
	for block := range o.blocks {
		s, err := o.run(ctx, work, fmt.Sprintf("%s-loaders-%d", o.out, block+1), fmt.Sprintf(loadersScenario, demandAt, server.URL, redirect.URL, o.measure))
		if err != nil {
			return nil, err
		}
		c.straight, c.redirected = append(c.straight, clientCPU(s, "straight")), append(c.redirected, clientCPU(s, "redirected"))
		us, err := o.nethttp(ctx, redirect.URL+object)
		if err != nil {
			return nil, err
		}
		c.nethttp = append(c.nethttp, us)
		if us, err = o.wrk(ctx, server.URL+object); err != nil {
			return nil, err
		}
		if us > 0 {
			c.wrk = append(c.wrk, us)
		}
	}
	return c, nil
}

// clientCPU is what our loader took for an operation of an arm.
func clientCPU(s *results.Summary, arm string) float64 {
	n := numbersOf(s)
	for _, c := range n.cells {
		for _, v := range n.values(arm, c, cpu(results.ComponentClient)) {
			return v
		}
	}
	return 0
}

// nethttp is the cost of the loader that anybody would write.
func (o *options) nethttp(ctx context.Context, url string) (us float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	return cost(exec.CommandContext(ctx, self), regexp.MustCompile(`^(\d+) requests`), loadEnv+"="+url, loadForEnv+"="+o.measure.String())
}

// wrk is the cost of wrk, 0 where it is not installed.
func (o *options) wrk(ctx context.Context, url string) (us float64, err error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return 0, nil
	}
	seconds := max(1, int(o.measure.Round(time.Second)/time.Second))
	return cost(exec.CommandContext(ctx, path, "-t1", fmt.Sprintf("-c%d", demandAt), fmt.Sprintf("-d%ds", seconds), url),
		regexp.MustCompile(`(\d+) requests in`))
}

// cost runs a loader that says how many requests it made, and gives its CPU
// microseconds for each.
func cost(cmd *exec.Cmd, requests *regexp.Regexp, env ...string) (us float64, err error) {
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	m := requests.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s does not say how many requests it made: %.200q", filepath.Base(cmd.Path), out)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || n == 0 {
		return 0, errors.Join(err, fmt.Errorf("%s made no requests", filepath.Base(cmd.Path)))
	}
	return float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Microseconds()) / n, nil
}

// load is that loader: a goroutine a connection, with net/http's client.
func load(url, length string) error {
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: demandAt}}
	var (
		n       atomic.Int64
		workers sync.WaitGroup
		failed  = make(chan error, demandAt)
		end     = time.Now().Add(d)
	)
	for range demandAt {
		workers.Go(func() {
			for time.Now().Before(end) {
				if err := get(client, url); err != nil {
					failed <- err
					return
				}
				n.Add(1)
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Println(n.Load(), "requests")
	return nil
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// write adds the rows of what the loader must reach.
func (c *loaderCosts) write(t table.Writer) (failed int) {
	for _, row := range []struct {
		what         string
		ours, others []float64
		most         float64
	}{
		{"loader / net/http loader, redirected", c.redirected, c.nethttp, 0.6},
		{"loader / wrk, straight", c.straight, c.wrk, 1.2},
	} {
		var ratios []float64
		for i := range row.others {
			ratios = append(ratios, row.ours[i]/row.others[i])
		}
		verdict := "PASS"
		if i, ok := interval(ratios); !ok {
			verdict = "n/a"
		} else if i.Low > row.most {
			verdict, failed = "FAIL", failed+1
		}
		t.AppendRow(table.Row{row.what, "4KiB", fmt.Sprintf("<= %g", row.most), "", span(ratios), "client's CPU", verdict})
	}
	return failed
}
