package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
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
	*process
	requests *os.File
	pipe     *os.File      // replies come from here
	replies  *bufio.Reader // and are read from here
	memory                 // of whoever has the worker on loan

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
		process:  newProcess(argv, env, stderr, theirRequests, theirReplies),
		requests: requests,
		pipe:     pipe,
		replies:  bufio.NewReaderSize(pipe, 64<<10),
	}
	w.cmd.SysProcAttr = procAttr()
	err = w.start(wg, w.closeIfExited)
	theirRequests.Close() // else we would never see the end of what the worker holds
	theirReplies.Close()
	return w, err
}

// closeIfExited closes the host's ends once the process is gone and nobody
// reads what it left. Whoever used them calls it afterwards, so the last one
// closes.
func (w *worker) closeIfExited() {
	if w.alive() {
		return
	}
	if w.busy.TryLock() {
		w.requests.Close()
		w.pipe.Close()
		w.busy.Unlock()
	}
}

// stop lets the process end by itself for at most grace and waits for its end.
func (w *worker) stop(grace time.Duration) {
	w.requests.Close() // the worker finishes what it has and sees the end
	w.reap(grace)
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
