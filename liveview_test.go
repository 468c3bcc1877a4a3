package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
)

func msOf(v float64) *float64 { return &v }

// snapshot is one with everything in it.
func snapshot() loader.Progress {
	none := int64(0)
	return loader.Progress{
		Arm: 26, Arms: 80, Block: 7, Blocks: 20, Name: "hpull", Phase: "measure",
		PhaseFor: 18 * time.Second, PhaseOf: 30 * time.Second, Left: 400 * time.Second, Errors: 3, Ops: 36_000,
		Live: &loader.Live{OfferedPerS: 2000, AchievedPerS: 1998, InFlight: 41, Cap: 512,
			Response:  results.Quantiles{Count: 36_000, P50Ms: msOf(9.81), P90Ms: msOf(14.1), P99Ms: msOf(31.24), P999Ms: msOf(580), MaxMs: msOf(8100)},
			Service:   results.Quantiles{P99Ms: msOf(30.9)},
			Delay:     results.Quantiles{P99Ms: msOf(0.2)},
			InMiBPerS: 242.1, OutMiBPerS: 251.9,
			P99s:   []float64{10, 20, 0, 40, 80},
			Errors: []loader.ErrorCount{{Class: "timeout", Count: 2}, {Class: "status 500", Count: 1}}},
		Use:       []loader.Use{{Component: "client", CPUs: 0.31}, {Component: "target", CPUs: 0.88}, {Component: "transformer", CPUs: 2.41}},
		Generator: &results.Generator{CPUShare: 0.23, GCPauseP99Ms: msOf(0.1), ThrottledTimes: &none},
		Done:      []loader.ArmBlocks{{Name: "hpush", Done: 7}, {Name: "hpull", Done: 6}, {Name: "hrev", Done: 6}, {Name: "io", Done: 20}},
		Next:      "io",
	}
}

func view() *liveView {
	return &liveView{title: "etlbench run inline-by-comm   seed 42", ended: func() bool { return false }, size: func() (int, int) { return 80, 24 }}
}

func TestFrames(t *testing.T) {
	closed, first := snapshot(), snapshot()
	closed.Live = &loader.Live{AchievedPerS: 12, InFlight: 8, Cap: 8, Response: results.Quantiles{Infinite: 1, P50Ms: msOf(1)}}
	closed.Shed, closed.Errors, closed.Next, closed.Left = 0, 0, "", 0
	filling := loader.Progress{Phase: "fill", Ops: 1200, OpsPerS: 600, MiBPerS: 37.5, PhaseFor: 2 * time.Second}
	first.Live, first.Use, first.Generator, first.Phase = nil, nil, nil, "init"
	for _, c := range []struct {
		name  string
		s     loader.Progress
		width int
		want  string
	}{
		{"80 columns", snapshot(), 80, `
etlbench run inline-by-comm   seed 42   block 7/20   arm hpull
measure 00:18/00:30
offered 2,000/s   achieved 1,998/s (99.9%)   in-flight 41/512   shed 0
errors 3 (timeout 2, status 500 1)
                p50       p90       p99     p99.9       max
response     9.81ms    14.1ms    31.2ms     580ms      8.1s
         service p99 30.9ms   delay p99 200us
MiB/s in 242.1  out 251.9   CPUs  client 0.31  target 0.88  transformer 2.41
p99 by interval  ▂▃▁▅█   generator OK  cpu 23%  gc p99 100us  throttled 0
hpush [##     ] 7   hpull [##     ] 6   hrev [##     ] 6   io [#######] 20
step 26/80   next io   eta 06:40
`},
		{"40 columns", snapshot(), 40, `
etlbench run inline-by-comm   seed 42
block 7/20   arm hpull
measure 00:18/00:30
offered 2,000/s
achieved 1,998/s (99.9%)
in-flight 41/512   shed 0
errors 3 (timeout 2, status 500 1)
                p50       p90       p99
response     9.81ms    14.1ms    31.2ms
         service p99 30.9ms   delay p99
MiB/s in 242.1  out 251.9
CPUs  client 0.31  target 0.88  transfor
p99 by interval  ▂▃▁▅█
generator OK  cpu 23%  gc p99 100us  thr
hpush [##     ] 7   hpull [##     ] 6
hrev [##     ] 6   io [#######] 20
step 26/80   next io   eta 06:40
`},
		{"closed loop, and a tail that was never served", closed, 200, `
etlbench run inline-by-comm   seed 42   block 7/20   arm hpull   measure 00:18/00:30
achieved 12/s   in-flight 8/8   shed 0   errors 0
                p50       p90       p99     p99.9       max
response        1ms       inf       inf       inf       inf
         service p99 -   delay p99 -
MiB/s in 0.0  out 0.0   CPUs  client 0.31  target 0.88  transformer 2.41
generator OK  cpu 23%  gc p99 100us  throttled 0
hpush [##     ] 7   hpull [##     ] 6   hrev [##     ] 6   io [#######] 20
step 26/80
`},
		{"before the first arm", filling, 80, `
etlbench run inline-by-comm   seed 42   fill 00:02
1,200 objects   600/s   37.5 MiB/s
`},
		{"no load", first, 80, `
etlbench run inline-by-comm   seed 42   block 7/20   arm hpull
init 00:18/00:30
36,000 objects   0/s   0.0 MiB/s   errors 3
hpush [##     ] 7   hpull [##     ] 6   hrev [##     ] 6   io [#######] 20
step 26/80   next io   eta 06:40
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := view().frame(c.s, c.width)
			require.Equal(t, strings.TrimPrefix(c.want, "\n"), strings.Join(got, "\n")+"\n")
			colored := view()
			colored.color = true
			for i, l := range colored.frame(c.s, c.width) {
				require.LessOrEqual(t, text.StringWidthWithoutEscSequences(l), c.width)
				require.Equal(t, got[i], text.StripEscape(l), "colours change nothing else")
			}
		})
	}
}

// A frame is painted over the one before, also when that was longer, or has
// wrapped in a terminal that became narrower, and never scrolls the screen.
func TestPaint(t *testing.T) {
	var out bytes.Buffer
	v := view()
	v.w = &out
	width, height := 80, 24
	v.size = func() (int, int) { return width, height }
	paint := func(s loader.Progress) string {
		out.Reset()
		v.show(s)
		return out.String()
	}
	first := paint(snapshot())
	require.NotContains(t, first, "\x1b[0A")
	require.Equal(t, 11, strings.Count(first, "\n"))
	require.Contains(t, paint(snapshot()), "\r\x1b[11A")
	width = 40
	require.Contains(t, paint(snapshot()), "\r\x1b[19A", "eight of them took two lines")
	height = 5
	require.Equal(t, 4, strings.Count(paint(snapshot()), "\n"), "one is left for the cursor")
	out.Reset()
	v.end()
	require.Equal(t, beginUpdate+"\r\x1b[4A"+eraseBelow+endUpdate, out.String())
}

// terminal is a program on a terminal of its own.
type terminal struct {
	t   *testing.T
	cmd *exec.Cmd
	pty *os.File

	mu   sync.Mutex // guards seen
	seen strings.Builder
}

func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	dir := t.TempDir()
	x := &terminal{t: t, cmd: exec.Command(program(t), args...)}
	x.cmd.Dir = dir
	x.cmd.Env = append(append(os.Environ(), "TERM=xterm", "XDG_STATE_HOME="+filepath.Join(dir, "state")), env...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slow.yaml"), []byte(`apiVersion: etlbench/v1
dataset: {objects: 4, size: 4KiB}
transforms: [sleep-20ms]
target: {targets: 1}
arms: {comm: [hpush]}
load: {workers: 2}
phases: {warmup: 0s, measure: 10m}
`), 0o644))
	var err error
	x.pty, err = pty.StartWithSize(x.cmd, &pty.Winsize{Rows: 24, Cols: 80})
	require.NoError(t, err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := x.pty.Read(buf)
			x.mu.Lock()
			x.seen.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return // EIO when the last process has left the terminal
			}
		}
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		x.pty.Close()
		<-read
	})
	return x
}

func (x *terminal) output() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

func (x *terminal) await(text string) {
	x.t.Helper()
	if !assert.Eventually(x.t, func() bool { return strings.Contains(x.output(), text) }, time.Minute, 5*time.Millisecond) {
		require.Contains(x.t, x.output(), text)
	}
}

// press types, as a user does: the terminal makes a signal of Ctrl-C.
func (x *terminal) press(keys string) {
	_, err := io.WriteString(x.pty, keys)
	require.NoError(x.t, err)
}

func (x *terminal) modes() unix.Termios {
	m, err := unix.IoctlGetTermios(int(x.pty.Fd()), unix.TCGETS)
	require.NoError(x.t, err)
	return *m
}

const ctrlC = "\x03"

// requireRestored checks that nothing of the terminal is left changed.
func (x *terminal) requireRestored(before unix.Termios) {
	x.t.Helper()
	require.Equal(x.t, before, x.modes())
	out := x.output()
	require.NotContains(x.t, out, "\x1b[?25l", "the cursor was hidden")
	require.NotContains(x.t, out, "\x1b[?1049h", "another screen was entered")
	require.Equal(x.t, strings.Count(out, beginUpdate), strings.Count(out, endUpdate))
	require.GreaterOrEqual(x.t, strings.LastIndex(out, "\x1b[0m"), strings.LastIndex(out, "\x1b[1m"))
}

func TestLiveViewEndsWithAReport(t *testing.T) {
	x := onTerminal(t, nil, "run", "slow.yaml", "--out", "run")
	before := x.modes()
	x.await("ms   delay p99 ") // operations came back
	x.await("CPUs  client ")
	require.Contains(t, x.output(), "\x1b[1metlbench run slow   seed 1\x1b[0m")
	require.Contains(t, x.output(), "in-flight 2/2")
	require.Regexp(t, `generator \x1b\[3[23]m(OK|BUSY)`, x.output())
	x.press(ctrlC)
	var exit *exec.ExitError
	require.ErrorAs(t, x.cmd.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode())
	x.await("etlbench: interrupted: what was measured until then is kept")
	require.Contains(t, x.output(), "VERDICT")
	x.requireRestored(before)
}

func TestSecondCtrlCQuits(t *testing.T) {
	x := onTerminal(t, []string{"NO_COLOR=1"}, "run", "slow.yaml", "--out", "run", "--set", "transforms=[sleep-1m]",
		"--set", "load.timeout=2h", "--set", "verify.content=off")
	before := x.modes()
	x.await("in-flight 2/2")
	x.press(ctrlC)
	x.await("interrupted: what is under way is finished")
	x.press(ctrlC)
	var exit *exec.ExitError
	require.ErrorAs(t, x.cmd.Wait(), &exit)
	require.Equal(t, syscall.SIGINT, exit.Sys().(syscall.WaitStatus).Signal())
	x.requireRestored(before)
	require.NotContains(t, x.output(), "\x1b[1m", "NO_COLOR")
}

func TestNoLive(t *testing.T) {
	for name, x := range map[string]*terminal{
		"--no-live":    onTerminal(t, nil, "run", "slow.yaml", "--out", "run", "--no-live"),
		"TERM is dumb": onTerminal(t, []string{"TERM=dumb"}, "run", "slow.yaml", "--out", "run"),
	} {
		t.Run(name, func(t *testing.T) {
			x.await("in flight, ")
			x.press(ctrlC)
			_ = x.cmd.Wait()
			require.Contains(t, x.output(), "[ 1/1] hpush: measure")
			require.NotContains(t, x.output(), "\x1b[")
		})
	}
}
