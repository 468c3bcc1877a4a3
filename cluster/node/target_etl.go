package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/pod"
)

// runningETL is one run of an ETL on this target: its pod and the wire to it.
type runningETL struct {
	name, xact, secret string
	typ                comm.Type
	fqn                bool          // the pod is given files rather than bytes
	timeout            time.Duration // of one object
	ctx                context.Context
	cancel             context.CancelCauseFunc
	ready              chan struct{} // closed when pod and link are set, or the start failed
	pod                pod.Pod       // nil when the start failed
	link               comm.Link
	about              string       // its init message in a few words
	objects, in, out   atomic.Int64 // of inline requests that were answered here
	errors             objErrors    // of inline requests
	start              time.Time
	stopped            sync.Once
	gone               chan struct{} // closed when stop is through
	end                time.Time     // valid then
	onGone             func()        // called then
}

// errStopped ends what an ETL does when it is stopped.
var errStopped = errors.New("the ETL was stopped")

// stop ends the pod and what waits for it. It is safe to call twice.
func (r *runningETL) stop() {
	r.stopped.Do(func() {
		defer func() {
			r.end = time.Now()
			close(r.gone)
			r.onGone()
		}()
		r.cancel(errStopped)
		<-r.ready
		if r.pod == nil {
			return
		}
		_ = r.pod.Stop(context.Background())
		_ = r.link.Close()
	})
}

// startETL starts the pod of an ETL that the state has, and answers when it is
// ready.
func (t *Target) startETL(ref *etlRef) (any, error) {
	e, ok := t.state().ETLs[ref.Name]
	if !ok || e.XactID != ref.XactID { // the push did not arrive
		if err := t.pull(t.ctx); err != nil {
			return nil, err
		}
		if e, ok = t.state().ETLs[ref.Name]; !ok || e.XactID != ref.XactID {
			return nil, api.Errorf(fasthttp.StatusServiceUnavailable, "", "%s: etl job %s is not known here yet", t.name(), ref.Name)
		}
	}
	pl, err := planETL(e.Spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(t.ctx)
	r := &runningETL{name: ref.Name, xact: e.XactID, secret: e.Secret, typ: pl.typ, timeout: pl.object, fqn: pl.spec.Argument == api.ArgumentFQN,
		about: pl.describe(), start: time.Now(), ctx: ctx, cancel: cancel, ready: make(chan struct{}), gone: make(chan struct{})}
	r.onGone = func() { t.ended.add(r.xact, r.snap()) }
	if err := t.admit(r); err != nil {
		cancel(nil)
		return nil, err
	}
	spec := t.podSpec(pl, r)
	start, done := context.WithTimeoutCause(ctx, pl.init, errInitTimeout(pl.init))
	defer done()
	r.pod, err = t.pods.Start(start, spec)
	if err == nil {
		err = r.dial(start, pl)
	}
	if err != nil {
		// Out of the table before anybody can take it for ready.
		t.etls.take(r.name, r.xact)
		close(r.ready)
		r.cancel(errors.New(oneLine(err)))
		r.stop()
		return nil, api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "[%s,etl=%q,pod=%q] %s", t.name(), r.name, spec.Name, oneLine(err))
	}
	close(r.ready)
	t.task(func(context.Context) { t.watch(r) })
	return nil, nil
}

// dial makes the wire to the pod, which has to speak the ETL's type.
func (r *runningETL) dial(ctx context.Context, pl *plan) error {
	at := r.pod.Info()
	r.link = pl.typ.Dial(at.URL, comm.Options{Command: append(pl.pod.Command, pl.pod.Args...), Retries: podRetries, Socket: at.Socket})
	if pl.typ.NeedsSocket && at.Socket == "" {
		return fmt.Errorf("communication: %s needs a pod that runs on its target's machine and listens on the unix socket it is offered: a published image does not, nor does a pod on Kubernetes", pl.typ.Name)
	}
	if c, ok := r.link.(comm.Checker); ok {
		if err := c.Check(ctx); err != nil {
			return fmt.Errorf("communication: %s: %w", pl.typ.Name, err)
		}
	}
	return nil
}

// admit takes a new run into the table when the one before it has gone. Whoever
// ends an ETL looks into the table for its runs, so whether a run is still
// wanted is looked up when it is in there, or is about to be.
func (t *Target) admit(r *runningETL) error {
	for {
		t.etls.awaitGone(r.name)
		if t.state().ETLs[r.name].XactID != r.xact {
			return t.errEnded(r)
		}
		if t.etls.add(r) {
			break
		}
		other := t.etls.get(r.name)
		if other == nil {
			continue
		}
		if other.xact == r.xact {
			return api.Errorf(fasthttp.StatusConflict, "", "%s: etl job %s runs already", t.name(), r.name)
		}
		if other = t.etls.take(other.name, other.xact); other != nil {
			other.stop()
		}
	}
	if t.state().ETLs[r.name].XactID != r.xact && t.etls.take(r.name, r.xact) != nil {
		close(r.ready)
		r.stop()
		return t.errEnded(r)
	}
	return nil
}

// errEnded refuses a run that is over before it has begun.
func (t *Target) errEnded(r *runningETL) error {
	return api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "%s: etl job %s was stopped before it started", t.name(), r.name)
}

// podRetries is how often a pod that takes no connection is asked again.
const podRetries = 10

func errInitTimeout(d time.Duration) error {
	return fmt.Errorf("init timeout of %s: %w", d, context.DeadlineExceeded)
}

// podSpec completes a plan for this target. What the init message adds to the
// environment comes last, as in AIStore, and may replace what is there.
func (t *Target) podSpec(pl *plan, r *runningETL) pod.Spec {
	direct := strconv.FormatBool(pl.spec.DirectPut)
	s := pl.pod
	s.Name = api.PodName(r.name, t.cfg.ID)
	told := []api.EnvVar{
		{Name: api.EnvTargetURL, Value: t.self.DataNet.URL + api.PathETLObject + "/" + r.name + "/" + r.secret},
		{Name: api.EnvDirectPut, Value: direct},
		{Name: api.EnvDirectPutLC, Value: direct},
	}
	if s.Runtime != "" || s.PerObject { // our own server runs somebody's code
		told = append(told, api.EnvVar{Name: api.EnvObjectTimeout, Value: r.timeout.String()})
	}
	s.Env = slices.Concat(s.Env, told, pl.spec.Env) // last: they replace all but what follows
	if !slices.ContainsFunc(pl.spec.Env, func(v api.EnvVar) bool { return v.Name == api.EnvTargetURL }) {
		s.TargetSocket = t.socket
	}
	if r.fqn {
		s.Reads = t.dir
		s.Env = append(s.Env, api.EnvVar{Name: api.EnvArgType, Value: api.ArgumentFQN}, api.EnvVar{Name: api.EnvFQNRoot, Value: t.dir})
	} else { // nor does a client choose a folder
		s.Env = append(s.Env, api.EnvVar{Name: api.EnvFQNRoot})
	}
	return s
}

// watch tells the primary when the pod dies by itself.
func (t *Target) watch(r *runningETL) {
	select {
	case <-r.pod.Done():
	case <-r.ctx.Done():
		return
	}
	reason := fmt.Sprintf("[%s,etl=%q,pod=%q] %v", t.name(), r.name, r.pod.Info().Name, r.pod.Err())
	if r.ctx.Err() != nil || !t.etls.takeDead(r, reason) {
		return
	}
	t.jobs.abortOf(r.xact, reason)
	r.cancel(errors.New(reason))
	r.stop()
	t.log.Warn("pod died", keyETL, r.name, keyErr, r.pod.Err())
	t.tellPrimary(pathETLAborted, etlRef{Name: r.name, XactID: r.xact, Reason: reason})
}

// tellPrimary tells the primary, until it has heard: there may be none at the
// moment.
func (t *Target) tellPrimary(path string, what any) {
	for {
		err := t.callPrimary(t.ctx, path, what, nil)
		if err == nil {
			return
		}
		t.log.Warn("tell the primary", "path", path, keyErr, err)
		select {
		case <-t.ctx.Done():
			return
		case <-time.After(beat):
		}
	}
}

func (t *Target) stopETL(ref *etlRef) (any, error) {
	if r := t.etls.take(ref.Name, ref.XactID); r != nil {
		t.jobs.abortOf(r.xact, "ETL "+r.name+" was stopped")
		r.stop()
	}
	t.etls.awaitGone(ref.Name)
	return nil, nil
}

func (t *Target) etlInfo(ref *etlRef) (any, error) {
	r := t.etls.get(ref.Name)
	if r == nil {
		return etlInfo{}, nil
	}
	info := etlInfo{Running: true, Objects: r.objects.Load(), In: r.in.Load(), Out: r.out.Load(), Errors: r.errors.all()}
	select {
	case <-r.ready:
		if r.pod != nil {
			p := r.pod.Info()
			info.Runs, info.Start = p.Runs, &p.Start
		}
	default:
	}
	if !ref.Usage {
		return info, nil
	}
	<-r.ready
	if r.pod == nil {
		return etlInfo{}, nil
	}
	u, err := r.pod.Usage(t.ctx)
	info.Usage = api.ETLUsage{CPU: u.CPU, Memory: u.Memory}
	return info, err
}

func (t *Target) etlLogs(ref *etlRef) (any, error) {
	r := t.etls.get(ref.Name)
	if r == nil {
		return nil, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: %s does not exist", t.name(), ref.Name)
	}
	<-r.ready
	var log bytes.Buffer
	if r.pod != nil {
		if err := r.pod.Logs(t.ctx, &log); err != nil {
			return nil, err
		}
	}
	return api.ETLLogs{TargetID: t.cfg.ID, Logs: append([]byte{}, log.Bytes()...)}, nil
}

// errNoETL is the answer to an inline request for an ETL that does not run
// here. An ETL that was aborted says why.
func (t *Target) errNoETL(name string) error {
	why := t.etls.reason(name)
	if _, e, ok := t.state().ETL(name); ok && e.Reason != "" {
		why = e.Reason
	}
	if why != "" {
		why = "; it was aborted: " + why
	}
	return api.Errorf(fasthttp.StatusNotFound, "", "%s: %s does not exist - try starting new ETL with \"%s%s/init\" endpoint%s",
		t.name(), name, t.primaryURL(), api.PathETL, why)
}
