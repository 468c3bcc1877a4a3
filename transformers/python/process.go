package python

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// process is an interpreter that this process started, and whose output it
// reads.
type process struct {
	cmd    *exec.Cmd
	output *tail
	exited chan struct{} // closed once the process is gone and its output was read
	status error         // of the process; written before exited is closed
}

// newProcess has not started yet. files are its fds from 3 on.
func newProcess(argv, env []string, stderr io.Writer, files ...*os.File) *process {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), output: &tail{next: stderr}, exited: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout = p.output
	p.cmd.Stderr = p.output
	p.cmd.ExtraFiles = files
	p.cmd.WaitDelay = time.Second // a grandchild may hold the output open
	return p
}

// start starts the process and waits for its end on wg; gone is called then.
func (p *process) start(wg *sync.WaitGroup, gone func()) error {
	started := make(chan error, 1)
	wg.Go(func() { p.run(started, gone) })
	return <-started
}

// run keeps its thread: when the thread that started a child ends, Linux sends
// the child the death signal, though the parent lives on.
func (p *process) run(started chan<- error, gone func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		p.status = err
	} else {
		p.status = p.cmd.Wait()
	}
	close(p.exited)
	gone()
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process at once. It may be called concurrently and after the
// process has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // its only error worth a look is that it has ended
}

// reap waits for the end of a process that is about to end, and sees to it.
func (p *process) reap(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.kill()
		<-p.exited
	}
}

// death describes how a process that has exited ended.
func (p *process) death() string {
	text := "exit status 0"
	if p.status != nil {
		text = p.status.Error()
	}
	if out := p.output.String(); out != "" {
		text += "; its last output: " + out
	}
	return text
}

// tail passes a process's output on and remembers the end of it.
type tail struct {
	next io.Writer

	mu   sync.Mutex // guards kept
	kept []byte
}

const tailSize = 2 << 10 // bytes

// Write implements io.Writer. It never fails: a worker must not die of a
// broken log.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p[max(0, len(p)-tailSize):]...)
	t.kept = append(t.kept[:0], t.kept[max(0, len(t.kept)-tailSize):]...)
	t.mu.Unlock()
	_, _ = t.next.Write(p)
	return len(p), nil
}

// Reset forgets the output so far.
func (t *tail) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = t.kept[:0]
}

// text returns all that is remembered.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// String returns the last lines.
func (t *tail) String() string { return lastLines(strings.TrimSpace(t.text()), 4) }

// lockedWriter makes a writer fit for all the workers at once.
type lockedWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
