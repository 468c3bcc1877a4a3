package comm

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Limit is t for objects that may be without progress, which is a read or a
// write, for at most so long: then t's context ends, and t has to see to that.
// A target that waits no longer for an object does not tell its pod.
func Limit(t Transform, limit time.Duration) Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o Info) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("no progress within the object timeout of %s", limit)) })
		defer timer.Stop()
		p := progress{timer, limit}
		return t(ctx, progressWriter{dst, p}, progressReader{src, p}, o)
	}
}

type progress struct {
	timer *time.Timer
	limit time.Duration
}

// made puts the end off, unless it has come.
func (p progress) made() {
	if p.timer.Stop() {
		p.timer.Reset(p.limit)
	}
}

type progressReader struct {
	io.Reader
	progress
}

func (r progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.made()
	return n, err
}

type progressWriter struct {
	io.Writer
	progress
}

func (w progressWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.made()
	return n, err
}
