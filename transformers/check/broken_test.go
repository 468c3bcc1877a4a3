package check_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers/check"
)

// TestBroken has a transformer for each check that makes the mistake which the
// check is for, and nothing else may fail.
func TestBroken(t *testing.T) {
	tests := []struct {
		name   string
		types  string // "": what a probe finds
		change func(*user)
		cfg    func(*check.Config)
		failed []string
		detail string // of the first
	}{
		{name: "nothing", change: func(*user) {}},
		{name: "not ready", failed: []string{"ready"}, detail: "after 1s still: GET /health: 503",
			change: func(u *user) {
				u.health = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
			}, cfg: func(c *check.Config) { c.Wait = time.Second }},
		{name: "knows no object", failed: []string{"serves"}, detail: "no type is served",
			change: func(u *user) {
				u.ws, u.methods, u.fetch = 0, "", func(*user, string) ([]byte, int) { return []byte("what?"), http.StatusNotFound }
			}},
		{name: "more bytes than Content-Length", types: "hpush", failed: []string{"length hpush"}, detail: "2 more bytes follow a body of 4096 bytes",
			change: func(u *user) { u.write = raw(func(out []byte) (int, []byte) { return len(out), append(out, "!!"...) }) }},
		{name: "fewer bytes than Content-Length", types: "hpull", failed: []string{"length hpull"}, detail: "Content-Length is 4097, and the body has 4096 bytes",
			change: func(u *user) { u.write = raw(func(out []byte) (int, []byte) { return len(out) + 1, out }) }},
		{name: "another result each time", types: "hpush", failed: []string{"result hpush"}, detail: "differs from what hpush:// gave before, of 4098 bytes, at byte 4097",
			change: func(u *user) {
				var n atomic.Int32
				u.transform = func(b []byte, _ *http.Request) ([]byte, int) {
					return fmt.Appendf(asciiUpper(b), "%02d", n.Add(1)), http.StatusOK
				}
			}},
		{name: "another result in another type", types: "hpush hpull", failed: []string{"result hpull"}, detail: "differs from what hpush:// gave before",
			change: func(u *user) {
				u.transform = func(b []byte, r *http.Request) ([]byte, int) {
					return append(asciiUpper(b), r.Method[0]&'G'), http.StatusOK
				}
				u.methods = "PUT"
			}},
		{name: "not the expected result", types: "hpush", failed: []string{"result hpush"}, detail: "differs from the expected result",
			change: func(*user) {}, cfg: func(c *check.Config) { c.Expect = lookup(t, "echo") }},
		{name: "takes no object", types: "hpush", failed: []string{"result hpush"}, detail: "not mine; a transform that takes certain contents only needs --input (status 415)",
			change: func(u *user) { u.transform = refuseAll }},
		{name: "fetches nothing", types: "hpull", failed: []string{"result hpull"}, detail: "and the object was not fetched",
			change: func(u *user) {
				u.fetch = func(*user, string) ([]byte, int) { return []byte("always the same"), http.StatusOK }
			}},
		{name: "drops the connection on an empty object", types: "hpush", failed: []string{"empty hpush"}, detail: "connection",
			change: func(u *user) { u.transform = on(func(b []byte) bool { return len(b) == 0 }, crash) }},
		{name: "refuses a single byte that it should take", types: "hpush", failed: []string{"one byte hpush"}, detail: "refused, where a result is expected",
			change: func(u *user) { u.transform = on(func(b []byte) bool { return len(b) == 1 }, refuseAll) },
			cfg:    func(c *check.Config) { c.Expect = upperTransform }},
		{name: "decodes bytes as text", types: "hpush", failed: []string{"any bytes hpush"}, detail: "differs from the expected result",
			change: func(u *user) {
				u.transform = func(b []byte, _ *http.Request) ([]byte, int) {
					return bytes.ToValidUTF8(asciiUpper(b), []byte("\ufffd")), http.StatusOK
				}
			}, cfg: func(c *check.Config) { c.Expect = upperTransform }},
		{name: "cuts what is large", types: "hpull", failed: []string{"large hpull"}, detail: "breaks off after",
			change: func(u *user) {
				u.write = func(w http.ResponseWriter, r *http.Request, out []byte) {
					if len(out) < 1<<17 {
						writeAll(w, r, out)
						return
					}
					w.Header().Set("Content-Length", fmt.Sprint(len(out)))
					_, _ = w.Write(out[:len(out)/2])
				}
			}},
		{name: "limits the size", types: "hpush", failed: []string{"large hpush"}, detail: "not mine (status 415)",
			change: func(u *user) { u.transform = on(func(b []byte) bool { return len(b) > 1<<17 }, refuseAll) }},
		{name: "unescapes names", types: "hpull", failed: []string{"names hpull"}, detail: "%41%2F.txt: ",
			change: func(u *user) {
				u.fetch = func(u *user, path string) ([]byte, int) {
					return u.get(strings.ReplaceAll(strings.ReplaceAll(path, "%2541", "%41"), "%252F", "%2F"))
				}
			}},
		{name: "routes by the whole URI", types: "hpush", failed: []string{"etl_args hpush"}, detail: "what? (status 404)",
			change: func(u *user) {
				u.transform = func(b []byte, r *http.Request) ([]byte, int) {
					if r.URL.RawQuery != "" {
						return []byte("what?"), http.StatusNotFound
					}
					return upper(b, r)
				}
			}},
		{name: "does something else with POST", types: "hpush", failed: []string{"POST hpush"}, detail: "differs from what hpush:// gave before",
			change: func(u *user) {
				u.transform = func(b []byte, r *http.Request) ([]byte, int) {
					if r.Method == http.MethodPost {
						return []byte("created"), http.StatusOK
					}
					return upper(b, r)
				}
			}},
		{name: "unescapes a file's name once", types: "hpush", failed: []string{"fqn hpush"}, detail: "no such file",
			change: func(u *user) {
				u.around = func(h http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "%25", "%2525")
						h.ServeHTTP(w, r)
					})
				}
			}, cfg: func(c *check.Config) { c.FQNDir = t.TempDir() }},
		{name: "200 for an object that is not there", types: "hpull", failed: []string{"error hpull"}, detail: "an object that the target answers 404 for is answered by a result of",
			change: func(u *user) {
				u.fetch = func(u *user, path string) ([]byte, int) {
					data, _ := u.get(path)
					return data, http.StatusOK
				}
			}},
		{name: "200 for a bad object", types: "hpush", failed: []string{"error hpush"}, detail: "the object of --bad is answered by a result of 3 bytes",
			change: func(*user) {}, cfg: func(c *check.Config) { c.Bad = []byte("bad") }},
		{name: "204 without delivering", types: "hpush", failed: []string{"direct put hpush"}, detail: "the target has got nothing",
			change: func(u *user) {
				u.deliver = func(_ *user, _ []string, _ *http.Request, out []byte) reply {
					return reply{status: http.StatusNoContent, length: fmt.Sprint(len(out))}
				}
			}},
		{name: "a wrong length of what was delivered", types: "hpull", failed: []string{"direct put hpull"}, detail: "Ais-Direct-Put-Length says 1, and the target has got 4096 bytes",
			change: func(u *user) {
				u.deliver = func(u *user, stops []string, r *http.Request, out []byte) reply {
					a := u.pass(stops, r, out)
					a.length = "1"
					return a
				}
			}},
		{name: "delivers what it was given", types: "hpush", failed: []string{"direct put hpush"}, detail: "differs from what hpush:// gave before",
			change: func(u *user) {
				u.deliver = func(u *user, stops []string, r *http.Request, out []byte) reply {
					return u.pass(stops, r, bytes.ToLower(out))
				}
			}},
		{name: "204 for what the target refused", types: "hpush", failed: []string{"refused put hpush"}, detail: "a result that the target refused by 507 is answered as delivered",
			change: func(u *user) {
				u.deliver = func(u *user, stops []string, r *http.Request, out []byte) reply {
					a := u.pass(stops, r, out)
					if a.status >= http.StatusBadRequest {
						return reply{status: http.StatusNoContent, length: fmt.Sprint(len(out))}
					}
					return a
				}
			}},
		{name: "drops the rest of the pipeline", types: "hpush", failed: []string{"pipeline hpush"}, detail: `Ais-Node-Url is "", and the rest of it is "http`,
			change: func(u *user) {
				u.deliver = func(u *user, stops []string, r *http.Request, out []byte) reply { return u.pass(stops[:1], r, out) }
			}},
		{name: "answers nothing", types: "hpush hpull", failed: []string{"result hpush", "result hpull"}, detail: "no complete reply within 200ms",
			change: func(u *user) {
				u.transform = func([]byte, *http.Request) ([]byte, int) { <-u.stop; return nil, http.StatusOK }
			}, cfg: func(c *check.Config) { c.Timeout = 200 * time.Millisecond }},
		{name: "text where results are binary", failed: []string{"result ws"}, detail: "a text message, which is an error",
			change: func(u *user) { u.ws = websocket.TextMessage }},
		{name: "dies of many at once", types: "hpush", failed: []string{"parallel hpush"}, detail: "one of 64 at once: no complete reply within",
			change: func(u *user) { u.transform = deadlock(u) }, cfg: func(c *check.Config) { c.Parallel = 64 }},
		{name: "keeps the slots of those who hung up", types: "hpush", failed: []string{"hang-up hpush"}, detail: "no complete reply within",
			change: func(u *user) { u.around = slots(u, 4, true) }},
		{name: "one at a time", types: "hpull", failed: []string{"slow client hpull"}, detail: "while a client reads slowly, another: no complete reply within",
			change: func(u *user) { u.around = slots(u, 1, false) }, cfg: func(c *check.Config) { c.Large, c.Parallel = 8<<20, 4 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // some wait for a time-out
			target := newTarget(t)
			cfg := config(t, target)
			cfg.Types = types(t, strings.Fields(tt.types)...)
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			u := newUser(target.URL())
			tt.change(u)
			cfg.URL = u.serve(t)
			r, err := check.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, tt.failed, outcome(r, check.Failed), details(r))
			for _, res := range r.Results {
				if res.Verdict == check.Failed {
					require.Contains(t, res.Detail, tt.detail)
					if res.Check != "ready" {
						require.NotNil(t, res.Exchange)
						require.Contains(t, res.Exchange.Request, " HTTP/1.1\nHost: ")
					}
				}
			}
		})
	}
}

func upperTransform(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
	data, err := io.ReadAll(src)
	if err == nil {
		_, err = dst.Write(asciiUpper(data))
	}
	return err
}

func refuseAll([]byte, *http.Request) ([]byte, int) {
	return []byte("not mine"), http.StatusUnsupportedMediaType
}

func crash([]byte, *http.Request) ([]byte, int) { panic(http.ErrAbortHandler) }

// on transforms objects of a kind by another function.
func on(is func([]byte) bool, do func([]byte, *http.Request) ([]byte, int)) func([]byte, *http.Request) ([]byte, int) {
	return func(b []byte, r *http.Request) ([]byte, int) {
		if is(b) {
			return do(b, r)
		}
		return upper(b, r)
	}
}

// raw writes replies whose length is what change says.
func raw(change func(out []byte) (length int, body []byte)) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, out []byte) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		length, body := change(out)
		fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, body)
		_ = buf.Flush()
	}
}

// deadlock hangs for ever once two transforms have run at a time.
func deadlock(u *user) func([]byte, *http.Request) ([]byte, int) {
	var inside atomic.Int32
	var dead atomic.Bool
	return func(b []byte, r *http.Request) ([]byte, int) {
		defer inside.Add(-1)
		if inside.Add(1) > 1 || dead.Load() {
			dead.Store(true)
			<-u.stop
		}
		runtime.Gosched()
		return upper(b, r)
	}
}

// slots serves n at a time. With leak none takes the place of one whose client
// broke off.
func slots(u *user, n int, leak bool) func(http.Handler) http.Handler {
	free := make(chan struct{}, n)
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case free <- struct{}{}:
			case <-u.stop:
				return
			}
			body := &watchedBody{ReadCloser: r.Body}
			r.Body = body
			h.ServeHTTP(w, r)
			if !leak || !body.broken {
				<-free
			}
		})
	}
}

// watchedBody remembers that it broke off.
type watchedBody struct {
	io.ReadCloser
	broken bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.broken = b.broken || err != nil && err != io.EOF
	return n, err
}
