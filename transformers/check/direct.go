package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

// ignored is the verdict on transformers that answer with the result although
// they were told where to send it, which they may.
const ignored = notApplicable("it answers with the result: it does not deliver it by itself")

// undelivered is why there is no more to see of delivering.
func (s *subject) undelivered() error {
	if s.cfg.Foreign {
		return notApplicable("it was started with another AIS_TARGET_URL than this check's")
	}
	return ignored
}

// job is the job that results are delivered for, and transformed is how: the
// query of a stop, which goes along.
const (
	job         = "check-job"
	transformed = "3"
)

// dst names a new object of this type alone.
func (s *subject) dst(name string) string {
	return "delivered/" + strings.TrimSuffix(s.typ.Name, "://") + "/" + name
}

// stop is the URL of a new object on the target.
func (s *subject) stop(name string) string {
	return s.cfg.Target.node.url + "/" + url.PathEscape(uname(name)) + "?owt=" + transformed + "&uuid=" + job
}

func checkDirect(ctx context.Context, s *subject) error {
	if s.cfg.Foreign {
		return s.undelivered()
	}
	if err := s.deliver(ctx, s.base); err != nil {
		return err
	}
	s.direct = true
	if s.large.name == s.base.name {
		return nil
	}
	return s.deliver(ctx, s.large)
}

// deliver lets an object's result be delivered to the target.
func (s *subject) deliver(ctx context.Context, o object) error {
	one := s.session()
	defer one.close()
	dst := s.dst(o.name)
	r := request(o)
	r.Stops = []string{s.stop(dst)}
	reply, data, err := one.get(ctx, r)
	if err != nil {
		return err
	}
	got, ok := s.cfg.Target.delivered(dst)
	switch {
	case !reply.Delivered && ok:
		return one.with(errors.New("it delivers the result and answers with one as well"))
	case !reply.Delivered:
		if err := one.verdict(o, "", data, nil); err != nil {
			return err
		}
		return ignored
	case !ok:
		return one.with(fmt.Errorf("it is answered as delivered, and the target has got nothing by PUT %s/%s",
			s.cfg.Target.URL(), url.PathEscape(uname(dst))))
	}
	return one.with(s.judgeDelivered(o, got, reply))
}

func (s *subject) judgeDelivered(o object, got stored, reply comm.Reply) error {
	switch {
	case got.query.Get("owt") != transformed || got.query.Get("uuid") != job:
		return fmt.Errorf("the query of the stop has not come along: %q", got.query.Encode())
	case s.kind != message && reply.Size != int64(len(got.data)):
		return fmt.Errorf("%s says %s, and the target has got %d bytes", api.HdrDirectPutLength, length(reply.Size), len(got.data))
	}
	return s.judge(o, "", s.typ.Name, got.data, nil)
}

func length(n int64) string {
	if n < 0 {
		return "no number"
	}
	return fmt.Sprint(n)
}

func checkRefusedPut(ctx context.Context, s *subject) error {
	if !s.direct {
		return s.undelivered()
	}
	one := s.session()
	defer one.close()
	dst := s.dst("refused")
	s.cfg.Target.refuses(dst)
	r := request(s.base)
	r.Stops = []string{s.stop(dst)}
	return one.mustRefuse(ctx, r, "a result that the target refused by 507")
}

func checkPipeline(ctx context.Context, s *subject) error {
	if !s.direct {
		return s.undelivered()
	}
	const mark = "next stage: "
	answered := func(w http.ResponseWriter, body []byte) {
		_, _ = w.Write(append([]byte(mark), body...)) // to a transformer that may hang up
	}
	// The next stage plays the end of the pipeline: what it would send on to the
	// last stop is its own answer.
	last := s.cfg.Target.node.url
	reply, data, body, err := s.pass(ctx, answered, last)
	if err != nil {
		return err
	}
	if reply.Delivered || string(data) != mark+string(body) {
		return fmt.Errorf("the next stage's answer of %d bytes is not the answer: %d bytes came", len(mark)+len(body), len(data))
	}
	reply, _, body, err = s.pass(ctx, answerDelivered, s.stop(s.dst("behind")))
	if err != nil {
		return err
	}
	if !reply.Delivered || s.kind != message && reply.Size != int64(len(body)) {
		return fmt.Errorf("the next stage's 204 with %s %d is not the answer", api.HdrDirectPutLength, len(body))
	}
	return nil
}

// pass sends an object through the transformer to a next stage, and on to last.
func (s *subject) pass(ctx context.Context, answer func(http.ResponseWriter, []byte), last string) (reply comm.Reply, data, body []byte, err error) {
	next, err := newStage(answer)
	if err != nil {
		return reply, nil, nil, err
	}
	defer next.Close()
	one := s.session()
	defer one.close()
	r := request(s.base)
	r.Args, r.Stops = s.args, []string{next.url, last}
	if reply, data, err = one.get(ctx, r); err != nil {
		return reply, nil, nil, err
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	if len(next.seen) != 1 {
		return reply, nil, nil, one.with(fmt.Errorf("the next stage %s was asked %d times, not once", next.url, len(next.seen)))
	}
	return reply, data, next.seen[0].body, one.with(s.judgePassed(next.seen[0], last))
}

// judgePassed checks what a next stage has got.
func (s *subject) judgePassed(p passedOn, last string) error {
	name := strings.TrimPrefix(p.path, "/")
	switch {
	case p.method != http.MethodPut:
		return fmt.Errorf("the next stage is asked by %s, not by PUT", p.method)
	case !strings.HasSuffix(name, s.base.name):
		return fmt.Errorf("the next stage is asked for %q, not for the object", p.path)
	case p.stops != last:
		return fmt.Errorf("the next stage's %s is %q, and the rest of it is %q", api.HdrNodeURL, p.stops, last)
	case p.args != s.args:
		return fmt.Errorf("the next stage's etl_args are %q, not %q", p.args, s.args)
	}
	return s.judge(s.base, s.args, s.typ.Name, p.body, nil)
}
