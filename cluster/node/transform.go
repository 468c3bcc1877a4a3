package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

// errTimeout is a transformer that made no progress for an object's time.
var errTimeout = errors.New("no progress within the object timeout")

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// stall cancels a context when nothing moves for a time. A whole object may
// take longer than that, as long as it moves.
type stall struct {
	timer *time.Timer
	limit time.Duration
}

// withStall derives a context that ends when progress is not called for
// limit. stop frees it.
func withStall(ctx context.Context, limit time.Duration) (_ context.Context, s *stall, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s = &stall{limit: limit}
	s.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w of %s", errTimeout, limit)) })
	return ctx, s, func() { s.timer.Stop(); cancel(nil) }
}

func (s *stall) progress() { s.timer.Reset(s.limit) }

// pause stops the clock until the next progress: it is not the transformer
// that is waited for.
func (s *stall) pause() { s.timer.Stop() }

// movingReader reports every read that moved something.
type movingReader struct {
	io.Reader
	stall *stall
	n     int64
}

func (m *movingReader) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.n += int64(n)
		m.stall.progress()
	}
	return n, err
}

// transformation is one object on its way through a pod.
type transformation struct {
	comm.Reply
	body *movingReader // of Reply.Body
	size int64         // of the source, bytes
	etl  *runningETL
	name string // ais://bucket/object
	// job tells that a job keeps the failure.
	job   bool
	stop  func()
	began time.Time // when the pod was asked
}

// transform sends an object through its ETL's pod, for as long as ctx, which
// descends from the ETL's own, lives. The caller calls done.
func (t *Target) transform(ctx context.Context, r *runningETL, bucket, object string, inline bool, req comm.Request, limit time.Duration) (*transformation, error) {
	src, err := t.openSource(bucket, object)
	if err != nil {
		return nil, err
	}
	defer src.close()
	ctx, stall, stop := withStall(ctx, limit)
	req.Bucket, req.Name, req.Uname = bucket, object, api.AIS(bucket).Uname(object)
	req.Open = func() (comm.Object, error) { return src.take(stall) }
	if r.fqn && !(req.LatestVer && !r.typ.Redirects) {
		req.Path = src.path
	}
	x := &transformation{size: src.size, etl: r, job: !inline, name: api.AIS(bucket).String() + "/" + object, stop: stop}
	x.began = time.Now()
	call := r.link.Offline
	if inline {
		call = r.link.Inline
	}
	x.Reply, err = call(ctx, req)
	if err != nil {
		stop()
		return nil, t.transformFailed(x, err)
	}
	if x.Body != nil {
		stall.progress()
		x.body = &movingReader{Reader: x.Body, stall: stall}
	}
	return x, nil
}

// transformFailed remembers a failure with its ETL.
func (t *Target) transformFailed(x *transformation, err error) error {
	if !x.job {
		x.etl.errors.add(x.name, t.apiError(err))
	}
	return err
}

// done ends a transformation, with the error of whoever read its result. An
// ETL counts what it transforms inline; jobs have sums of their own.
func (x *transformation) done(t *Target, err error) {
	if x.Body != nil {
		x.Body.Close()
		if !x.job {
			x.etl.out.Add(x.body.n)
		}
	}
	x.stop()
	if err != nil {
		_ = t.transformFailed(x, err)
		return
	}
	if x.job || x.Redirect != "" {
		return
	}
	x.etl.objects.Add(1)
	x.etl.in.Add(x.size)
}

// source is an object that a pod may be sent, opened before the pod is asked,
// so that a missing object is told from a failing pod.
type source struct {
	t              *Target
	bucket, object string
	path           string // of the file
	size           int64
	body           *fileBody // nil once taken
}

func (t *Target) openSource(bucket, object string) (*source, error) {
	o, err := t.openObject(bucket, object)
	if err != nil {
		return nil, err
	}
	return &source{t: t, bucket: bucket, object: object, path: o.Path(), size: o.Size, body: &fileBody{o: o, left: o.Size}}, nil
}

// take gives the object; again, when a connection proved stale.
func (s *source) take(st *stall) (comm.Object, error) {
	body := s.body
	if s.body = nil; body == nil {
		again, err := s.t.openSource(s.bucket, s.object)
		if err != nil {
			return comm.Object{}, err
		}
		s.size, body = again.size, again.body
	}
	return comm.Object{Body: &sourceBody{movingReader{Reader: body, stall: st}, body}, Size: s.size}, nil
}

// sourceBody is an object on its way to a pod.
type sourceBody struct {
	movingReader
	file *fileBody
}

func (s *sourceBody) Close() error { return s.file.Close() }

// SendTo implements comm.Sender.
func (s *sourceBody) SendTo(c *net.UnixConn) (int64, error) {
	return s.file.sendTo(c, func(int64) { s.stall.progress() })
}

func (s *source) close() {
	if s.body != nil {
		s.body.Close()
	}
}
