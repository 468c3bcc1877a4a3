package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/etlbench/etlbench/cluster/comm"
)

// check is one rule of the protocol.
type check struct {
	name, rule string
	kinds      []kind // where it applies
	not        string // why it does not elsewhere
	gate       bool   // without it the others say nothing
	run        func(ctx context.Context, s *subject) error
}

var (
	everywhere = []kind{push, pull, message}
	ready      = check{name: "ready", rule: "the readiness probe is answered by 200"}
	serves     = check{name: "serves", rule: "at least one communication type is served"}
)

// checks are run in this order with every type.
var checks = []check{
	{name: "length", gate: true, kinds: []kind{push, pull}, not: "a message has its length with it",
		rule: "a reply has as many bytes as its Content-Length says", run: checkLength},
	{name: "result", gate: true, kinds: everywhere,
		rule: "an object is answered by 200 and its result", run: checkResult},
	{name: "empty", kinds: everywhere, rule: "an empty object is answered, by a result or by an error", run: checkSmall(nil, "empty.txt")},
	{name: "one byte", kinds: everywhere, rule: "an object of one byte is answered, by a result or by an error", run: checkSmall([]byte("x"), "one.txt")},
	{name: "any bytes", kinds: everywhere, rule: "an object is bytes, not text", run: checkSmall(anyBytes(), "any.bin")},
	{name: "large", kinds: everywhere, rule: "an object may be of any size", run: checkLarge},
	{name: "names", kinds: everywhere, rule: "an object may have any name; it is escaped in paths", run: checkNames},
	{name: "etl_args", kinds: everywhere, rule: "a request may carry etl_args", run: checkArgs},
	{name: "POST", kinds: []kind{push}, not: "the object is not in a request's body",
		rule: "objects are PUT; who takes POST too does the same with it", run: checkPost},
	{name: "fqn", kinds: everywhere, rule: "etl_fqn names the object's file, escaped twice, and the body is empty", run: checkFQN},
	{name: "error", kinds: everywhere, rule: "an object that cannot be transformed is answered by 400 or above, and a text", run: checkError},
	{name: "direct put", kinds: everywhere,
		rule: "a result for a target is PUT below AIS_TARGET_URL; the answer is 204 with Ais-Direct-Put-Length, or the result", run: checkDirect},
	{name: "refused put", kinds: everywhere,
		rule: "when the target refuses a result, its error is the answer", run: checkRefusedPut},
	{name: "pipeline", kinds: everywhere,
		rule: "a result for a next stage is PUT there with etl_args and the rest of Ais-Node-Url; its answer is the answer", run: checkPipeline},
	{name: "parallel", kinds: everywhere, rule: "requests arrive concurrently", run: checkParallel},
	{name: "hang-up", kinds: everywhere, rule: "who hangs up in the middle harms nobody else", run: checkHangUp},
	{name: "slow client", kinds: everywhere, rule: "who sends or reads slowly holds up nobody else", run: checkSlow},
}

// explain adds to an error what its reader is likely to need.
func (s *subject) explain(err error) string {
	var refused *comm.TransformError
	text := err.Error()
	switch {
	case !errors.As(err, &refused):
	case s.kind == message:
		text += " (a text message, which is an error; results are binary messages)"
	default:
		text += fmt.Sprintf(" (status %d)", refused.Status)
	}
	return text
}

func checkLength(ctx context.Context, s *subject) error {
	one := s.session()
	defer one.close()
	data, extra, err := one.raw(ctx, s.base)
	if errors.Is(err, comm.ErrTransform) || errors.Is(err, errNoReply) {
		return notApplicable("there is no reply to measure") // the next check says so
	}
	if err == nil && extra > 0 {
		err = one.with(fmt.Errorf("%d more bytes follow a body of %d bytes", extra, len(data)))
	}
	return err
}

func checkResult(ctx context.Context, s *subject) error {
	one := s.session()
	defer one.close()
	for range 2 { // also on a connection that was used before
		err := one.check(ctx, s.base, "")
		if errors.Is(err, comm.ErrTransform) && s.cfg.Input == nil {
			return one.with(fmt.Errorf("%w; a transform that takes certain contents only needs --input", err))
		}
		if err != nil {
			return err
		}
	}
	if s.kind == pull && !s.cfg.Target.wasFetched(s.base.name) {
		return one.with(fmt.Errorf("a result, and the object was not fetched: AIS_TARGET_URL is %s", s.cfg.Target.URL()))
	}
	return nil
}

// checkSmall is for objects that a transform may well refuse.
func checkSmall(data []byte, name string) func(context.Context, *subject) error {
	return func(ctx context.Context, s *subject) error {
		return s.unlessRefused(s.fresh(ctx, s.keep(object{name, data}), ""))
	}
}

// unlessRefused lets a transformer refuse an object, unless its refusal is
// known to be wrong.
func (s *subject) unlessRefused(err error) error {
	var refused *comm.TransformError
	if errors.As(err, &refused) && !errors.Is(err, errWrongRefusal) {
		return notApplicable("it refuses it: " + s.explain(refused))
	}
	return err
}

func checkLarge(ctx context.Context, s *subject) error {
	large := s.keep(object{"large.txt", text("large.txt", s.cfg.Large)})
	err := s.fresh(ctx, large, "")
	if err == nil && s.takes(large) == nil {
		s.large = large
	}
	if s.cfg.Input != nil {
		err = s.unlessRefused(err)
	}
	return err
}

func checkNames(ctx context.Context, s *subject) error {
	one := s.session()
	defer one.close()
	for _, name := range oddNames() {
		if err := one.check(ctx, s.object(name), ""); err != nil {
			return err
		}
	}
	return nil
}

// someArgs are etl_args that no transformer has a meaning for.
const someArgs = `any args {"a": 1&2}`

func checkArgs(ctx context.Context, s *subject) error {
	args := cmp.Or(s.cfg.Args, someArgs)
	err := s.fresh(ctx, s.base, args)
	var refused *comm.TransformError
	switch {
	case err == nil:
		s.args = args
	case s.cfg.Args == "" && errors.As(err, &refused) && !slices.Contains(unserved, refused.Status):
		return notApplicable(fmt.Sprintf("it refuses %q: %s: give etl_args of its own with --args", args, s.explain(refused)))
	}
	return err
}

func checkPost(ctx context.Context, s *subject) error {
	one := s.session()
	defer one.close()
	within, cancel := s.within(ctx)
	defer cancel()
	req, err := one.plain(within, http.MethodPost, s.base)
	if err != nil {
		return err
	}
	one.tap.reset()
	resp, err := one.client.Do(req)
	if err != nil {
		return one.with(cause(within, err))
	}
	defer resp.Body.Close()
	if slices.Contains(unserved, resp.StatusCode) {
		return notApplicable("it takes no POST: " + resp.Status + "; targets send PUT")
	}
	err = status(resp)
	var data []byte
	if err == nil {
		data, err = readResult(resp.Body)
	}
	return one.with(one.verdict(s.base, "", data, err))
}

func checkFQN(ctx context.Context, s *subject) error {
	if s.cfg.FQNDir == "" {
		return notApplicable("objects are named by their file only with --fqn")
	}
	o := s.base
	path := filepath.Join(s.cfg.FQNDir, "50% off+%41 ünï.txt")
	if err := os.WriteFile(path, o.data, 0o644); err != nil {
		return err
	}
	one := s.session()
	defer one.close()
	r := request(o)
	r.Path = path
	_, data, err := one.get(ctx, r)
	if err := one.verdict(o, "", data, err); err != nil {
		return err
	}
	r.Path += " is not there"
	return one.mustRefuse(ctx, r, "a file that does not exist")
}

func checkError(ctx context.Context, s *subject) error {
	one := s.session()
	defer one.close()
	if s.cfg.Bad != nil {
		if err := one.mustRefuse(ctx, request(s.keep(object{"bad", s.cfg.Bad})), "the object of --bad"); err != nil {
			return err
		}
	}
	switch {
	case s.kind == pull:
		return one.mustRefuse(ctx, request(object{name: "not there"}), "an object that the target answers 404 for")
	case s.cfg.Bad == nil:
		return notApplicable("nothing is known that it must refuse: --bad names such an object")
	}
	return nil
}

// mustRefuse checks that a request is answered by an error.
func (s *session) mustRefuse(ctx context.Context, r comm.Request, what string) error {
	reply, data, err := s.get(ctx, r)
	switch {
	case errors.Is(err, comm.ErrTransform):
		return nil
	case err != nil:
		return s.with(fmt.Errorf("%s: no error status, but: %w", what, err))
	case reply.Delivered:
		return s.with(fmt.Errorf("%s is answered as delivered", what))
	}
	return s.with(fmt.Errorf("%s is answered by a result of %d bytes", what, len(data)))
}
