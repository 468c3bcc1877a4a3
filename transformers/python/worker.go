package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A worker is an interpreter that runs worker.py. The host writes requests to
// its fd 3 and reads replies from its fd 4, one at a time; integers are
// big-endian:
//
//	request = len(info) uint32, info (JSON), piece…
//	piece   = flags and length uint32, bytes        the last one has flagLast
//	reply   = status byte, length uint64, payload
//
// A piece with flagAbort and no bytes takes the request back. The first reply,
// to no request, says that the module is loaded. The payload of statusFailure
// is text, its first line the summary.
//
// A worker that gets whole objects replies when it has read all of a request,
// and not at all to one that was taken back. One that gets objects in chunks
// (Functions.ChunkSize) reads and writes as the user's code does: any number
// of replies with statusPiece, then one of the others, at which the host may
// still be sending; then it reads the rest of the request.
const (
	flagLast  = 1 << 31
	flagAbort = 1 << 30

	statusResult  = 0
	statusFailure = 1
	statusPiece   = 2

	maxFailureText = 64 << 10 // bytes of a failure's payload that are kept
)

type worker struct {
	cmd      *exec.Cmd
	requests *os.File
	pipe     *os.File      // replies come from here
	replies  *bufio.Reader // and are read from here
	output   *tail
	exited   chan struct{} // closed once the process is gone and its output was read
	status   error         // of the process; written before exited is closed

	// busy is held while requests, pipe and replies are in use, and to close
	// them.
	busy sync.Mutex
}

// spawn starts a worker's process. It does not wait for it to be ready. The
// goroutine that looks after the process runs on wg.
func spawn(wg *sync.WaitGroup, argv, env []string, stderr io.Writer) (*worker, error) {
	theirRequests, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	pipe, theirReplies, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirRequests.Close(), requests.Close())
	}
	w := &worker{
		cmd:      exec.Command(argv[0], argv[1:]...),
		requests: requests,
		pipe:     pipe,
		replies:  bufio.NewReaderSize(pipe, 64<<10),
		output:   &tail{next: stderr},
		exited:   make(chan struct{}),
	}
	w.cmd.Env = env
	w.cmd.Stdout = w.output
	w.cmd.Stderr = w.output
	w.cmd.ExtraFiles = []*os.File{theirRequests, theirReplies}
	w.cmd.SysProcAttr = procAttr()
	w.cmd.WaitDelay = time.Second // a grandchild may hold the output open
	started := make(chan error, 1)
	wg.Go(func() { w.run(started) })
	err = <-started
	theirRequests.Close() // else we would never see the end of what the worker holds
	theirReplies.Close()
	return w, err
}

// run starts the process and waits for its end. It keeps its thread: when the
// thread that started a child ends, Linux sends the child the death signal,
// though the parent lives on.
func (w *worker) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := w.cmd.Start()
	started <- err
	if err != nil {
		w.status = err
	} else {
		w.status = w.cmd.Wait()
	}
	close(w.exited)
	w.closeIfExited()
}

// closeIfExited closes the host's ends once the process is gone and nobody
// reads what it left. Whoever used them calls it afterwards, so the last one
// closes.
func (w *worker) closeIfExited() {
	select {
	case <-w.exited:
	default:
		return
	}
	if w.busy.TryLock() {
		w.requests.Close()
		w.pipe.Close()
		w.busy.Unlock()
	}
}

func (w *worker) alive() bool {
	select {
	case <-w.exited:
		return false
	default:
		return true
	}
}

// kill ends the process at once. It may be called concurrently and after the
// process has ended.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill() // its only error worth a look is that it has ended
}

// stop lets the process end by itself for at most grace and waits for its end.
func (w *worker) stop(grace time.Duration) {
	w.requests.Close() // the worker finishes what it has and sees the end
	w.reap(grace)
}

// reap waits for the end of a process that is about to end, and sees to it.
func (w *worker) reap(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-w.exited:
	case <-timer.C:
		w.kill()
		<-w.exited
	}
}

// death describes how a worker that has exited ended.
func (w *worker) death() string {
	text := "exit status 0"
	if w.status != nil {
		text = w.status.Error()
	}
	if out := w.output.String(); out != "" {
		text += "; its last output: " + out
	}
	return text
}

// readReply reads the reply's head. The payload is next in w.replies.
func (w *worker) readReply() (status byte, size int64, err error) {
	var head [9]byte
	if _, err := io.ReadFull(w.replies, head[:]); err != nil {
		return 0, 0, err
	}
	size = int64(binary.BigEndian.Uint64(head[1:]))
	if head[0] > statusPiece || size < 0 {
		return 0, 0, fmt.Errorf("not a reply: % x", head)
	}
	return head[0], size, nil
}

// readFailure reads the payload of a reply with statusFailure.
func (w *worker) readFailure(size int64) (*CodeError, error) {
	text, err := io.ReadAll(io.LimitReader(w.replies, min(size, maxFailureText)))
	if err == nil {
		err = w.discard(size - int64(len(text)))
	}
	return newCodeError(string(text)), err
}

// discard skips the rest of a payload.
func (w *worker) discard(size int64) error {
	n, err := io.CopyN(io.Discard, w.replies, size)
	if err == nil && n < size {
		return io.ErrUnexpectedEOF
	}
	return err
}

// tail passes a worker's output on and remembers the end of it.
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
