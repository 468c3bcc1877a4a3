package check_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// user is a transformer as a user writes one on an HTTP library: upper case,
// over hpush, hpull and ws. Each step can be replaced by a mistake.
type user struct {
	target    string // AIS_TARGET_URL
	health    http.HandlerFunc
	fetch     func(u *user, path string) ([]byte, int)                         // from the target
	transform func(b []byte, r *http.Request) ([]byte, int)                    // 200, or a status and a text
	write     func(w http.ResponseWriter, r *http.Request, out []byte)         // the reply
	deliver   func(u *user, stops []string, r *http.Request, out []byte) reply // to the first stop
	methods   string                                                           // that carry objects
	ws        int                                                              // kind of message that results are; 0: no WebSocket
	stop      chan struct{}                                                    // closed at the end
	around    func(http.Handler) http.Handler
}

// reply is what became of a result.
type reply struct {
	status int
	body   []byte
	length string // Ais-Direct-Put-Length
}

func newUser(target string) *user {
	return &user{target: target, fetch: (*user).get, transform: upper, write: writeAll, deliver: (*user).pass,
		stop: make(chan struct{}), methods: "PUT POST", ws: websocket.BinaryMessage,
		health: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Running") },
		around: func(h http.Handler) http.Handler { return h }}
}

func (u *user) serve(t *testing.T) string {
	srv := httptest.NewServer(u.around(http.HandlerFunc(u.answer)))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(u.stop) })
	return srv.URL
}

func (u *user) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/health":
		u.health(w, r)
	case r.URL.Path == "/ws" && u.ws != 0:
		u.messages(w, r)
	case r.Method == http.MethodGet || strings.Contains(u.methods, r.Method):
		u.object(w, r)
	default:
		http.Error(w, "no such method", http.StatusMethodNotAllowed)
	}
}

func (u *user) object(w http.ResponseWriter, r *http.Request) {
	in, status := u.input(r)
	if status != http.StatusOK {
		http.Error(w, string(in), status)
		return
	}
	out, status := u.transform(in, r)
	if status != http.StatusOK {
		http.Error(w, string(out), status)
		return
	}
	stops := strings.FieldsFunc(r.Header.Get("Ais-Node-Url"), func(c rune) bool { return c == ',' })
	if len(stops) == 0 {
		u.write(w, r, out)
		return
	}
	a := u.deliver(u, stops, r, out)
	if a.length != "" {
		w.Header().Set("Ais-Direct-Put-Length", a.length)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// input reads the object: of the request, from a file or from the target.
func (u *user) input(r *http.Request) ([]byte, int) {
	if fqn := r.URL.Query().Get("etl_fqn"); fqn != "" {
		path, err := url.PathUnescape(fqn)
		if err == nil {
			var data []byte
			if data, err = os.ReadFile(path); err == nil {
				return data, http.StatusOK
			}
		}
		return []byte(err.Error()), http.StatusNotFound
	}
	if r.Method == http.MethodGet {
		return u.fetch(u, r.URL.EscapedPath())
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return []byte(err.Error()), http.StatusBadRequest
	}
	return data, http.StatusOK
}

func (u *user) get(path string) ([]byte, int) {
	resp, err := http.Get(u.target + path)
	if err != nil {
		return []byte(err.Error()), http.StatusBadGateway
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return []byte(err.Error()), http.StatusBadGateway
	}
	return data, resp.StatusCode
}

func upper(b []byte, _ *http.Request) ([]byte, int) { return asciiUpper(b), http.StatusOK }

// asciiUpper is bytes.ToUpper without its taste for UTF-8.
func asciiUpper(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'a' && c <= 'z' {
			out[i] = c - 32
		}
	}
	return out
}

func writeAll(w http.ResponseWriter, _ *http.Request, out []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, _ = w.Write(out)
}

// pass is the algorithm of a container.
func (u *user) pass(stops []string, r *http.Request, out []byte) reply {
	stop, err := url.Parse(stops[0])
	if err != nil {
		return reply{status: http.StatusBadRequest}
	}
	to := "http://" + stop.Host + r.URL.EscapedPath()
	if args := r.URL.Query().Get("etl_args"); args != "" {
		to += "?" + url.Values{"etl_args": {args}}.Encode()
	}
	isTarget := strings.Trim(stop.Path, "/") != ""
	if isTarget {
		own, _ := url.Parse(u.target)
		to = "http://" + stop.Host + own.EscapedPath() + stop.EscapedPath() + "?" + stop.RawQuery
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, to, bytes.NewReader(out))
	if err != nil {
		return reply{status: http.StatusBadRequest}
	}
	if len(stops) > 1 {
		req.Header.Set("Ais-Node-Url", strings.Join(stops[1:], ","))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{status: http.StatusBadGateway, body: []byte(err.Error())}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return reply{status: http.StatusBadGateway, body: []byte(err.Error())}
	case isTarget && resp.StatusCode == http.StatusOK:
		return reply{status: http.StatusNoContent, length: strconv.Itoa(len(out))}
	}
	return reply{resp.StatusCode, body, resp.Header.Get("Ais-Direct-Put-Length")}
}

var upgrader = websocket.Upgrader{}

// messages serves a WebSocket: results come back, wherever they were to go.
func (u *user) messages(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		_, control, err := c.ReadMessage()
		if err != nil {
			return
		}
		in, err := messageInput(c, control)
		if err != nil {
			err = c.WriteMessage(websocket.TextMessage, []byte(err.Error()))
		} else if out, status := u.transform(in, r); status != http.StatusOK {
			err = c.WriteMessage(websocket.TextMessage, out)
		} else {
			err = c.WriteMessage(u.ws, out)
		}
		if err != nil {
			return
		}
	}
}

func messageInput(c *websocket.Conn, control []byte) ([]byte, error) {
	if !bytes.HasPrefix(control, []byte("{")) {
		return nil, errors.New("no control message")
	}
	if bytes.Contains(control, []byte(`"fqn"`)) {
		return nil, errors.New("files are not read")
	}
	_, in, err := c.ReadMessage()
	return in, err
}
