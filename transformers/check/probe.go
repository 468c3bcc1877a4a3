package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/comm"
)

// types are the types to check: those that were asked for, or those that a
// probe finds.
func (c *checker) types(ctx context.Context) (list []comm.Type) {
	if c.dead != "" {
		return nil
	}
	for _, typ := range c.cfg.Types {
		c.claim(typ.Name, true, "asked for")
		list = append(list, typ)
	}
	if len(list) > 0 {
		return list
	}
	res := Result{Check: serves.name, Rule: serves.rule, Verdict: Failed, Detail: "no type is served"}
	for _, name := range comm.Names() {
		typ, err := comm.Lookup(name)
		if err != nil {
			continue
		}
		if typ.PerObject {
			c.claim(name, false, "not probed: the command is run once an object, and --comm "+strings.TrimSuffix(name, "://")+" asks for that")
			continue
		}
		if typ.NeedsSocket {
			c.claim(name, false, "not probed: it shares memory over a unix socket, which targets alone offer")
			continue
		}
		why, ex, ok := newSubject(c, typ).probe(ctx)
		c.claim(name, ok, why)
		if ok {
			list, res.Verdict, res.Detail, res.Exchange = append(list, typ), Passed, "", nil
		} else if len(list) == 0 && res.Exchange == nil {
			res.Exchange = ex
		}
	}
	c.add(res)
	return list
}

func (c *checker) claim(name string, ok bool, why string) {
	c.report.Claims = append(c.report.Claims, Claim{name, ok, why})
}

// unserved are statuses of those who do not know a request's method.
var unserved = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// probe asks for one object. A transformer claims hpush when it does not say
// that it knows no PUT; hpull and hrev when it fetches the object; ws when it
// takes the WebSocket.
func (s *subject) probe(ctx context.Context) (why string, ex *Exchange, claimed bool) {
	one := s.session()
	defer one.close()
	_, _, err := one.get(ctx, request(s.base))
	seen := one.tap.exchange()
	line, _, _ := strings.Cut(seen.Request, "\n")
	answer, _, _ := strings.Cut(seen.Reply, "\n")
	_, answer, _ = strings.Cut(answer, " ") // behind the version
	why = fmt.Sprintf("%s: %s", strings.TrimSuffix(line, " HTTP/1.1"), cmp.Or(answer, "no reply"))
	var refused *comm.TransformError
	switch {
	case s.kind == message:
		claimed = strings.HasPrefix(seen.Reply, "HTTP/1.1 101 ")
	case s.kind == push:
		claimed = !errors.As(err, &refused) || !slices.Contains(unserved, refused.Status)
	case s.cfg.Target.wasFetched(s.base.name):
		claimed = true
	default:
		why += ", and the object was not fetched from AIS_TARGET_URL"
	}
	return why, &seen, claimed
}
