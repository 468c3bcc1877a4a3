package check

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
)

// etlName is what the ETL is called in a target's URL.
const etlName = "etl-check"

// Target plays the target that a transformer belongs to: it serves the objects
// of a run below AIS_TARGET_URL, and keeps what is PUT there. It listens on
// loopback.
type Target struct {
	node
	host    string // to listen on
	base    string // path of AIS_TARGET_URL
	mu      sync.Mutex
	objects map[string][]byte // by "bucket/name"; guarded by mu
	fetched map[string]bool   // objects that were asked for; guarded by mu
	stored  map[string]stored // what was PUT; guarded by mu
	refused map[string]bool   // objects whose PUT is refused; guarded by mu
}

// stored is an object that a transformer delivered.
type stored struct {
	data  []byte
	query url.Values
}

// NewTarget makes a target with an AIS_TARGET_URL, whose host is of loopback;
// "" is any free port and a secret of its own.
func NewTarget(targetURL string) (*Target, error) {
	if targetURL == "" {
		targetURL = "http://127.0.0.1:0" + api.PathETLObject + "/" + etlName + "/" + rand.Text()
	}
	u, err := url.Parse(targetURL)
	if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no AIS_TARGET_URL: use http://127.0.0.1:PORT%s/NAME/SECRET", targetURL, api.PathETLObject)
	}
	if !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%s: a target listens on loopback only, such as 127.0.0.1", targetURL)
	}
	return &Target{host: u.Host, base: strings.TrimRight(u.EscapedPath(), "/"), objects: map[string][]byte{}, fetched: map[string]bool{},
		stored: map[string]stored{}, refused: map[string]bool{}}, nil
}

// Listen begins to serve. Close ends it.
func (t *Target) Listen() error { return t.listen(t.host, t.serve) }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is the AIS_TARGET_URL for the transformer, once Listen has returned.
func (t *Target) URL() string { return t.node.url + t.base }

// Env is what a target gives to a pod; fqnDir is Config.FQNDir.
func (t *Target) Env(fqnDir string) []api.EnvVar {
	env := []api.EnvVar{{Name: api.EnvTargetURL, Value: t.URL()},
		{Name: api.EnvDirectPut, Value: "true"}, {Name: api.EnvDirectPutLC, Value: "true"}}
	if fqnDir != "" {
		env = append(env, api.EnvVar{Name: api.EnvArgType, Value: api.ArgumentFQN}, api.EnvVar{Name: api.EnvFQNRoot, Value: fqnDir})
	}
	return env
}

func (t *Target) serve(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), t.base+"/")
	if !ok {
		refuse(w, r, http.StatusForbidden, "only objects below AIS_TARGET_URL are served here")
		return
	}
	uname, err := url.PathUnescape(rest)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	bucket, name, err := api.ParseUname(uname)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	switch key := bucket + "/" + name; r.Method {
	case http.MethodGet, http.MethodHead:
		t.give(w, r, key)
	case http.MethodPut:
		t.take(w, r, key)
	default:
		refuse(w, r, http.StatusMethodNotAllowed, "method not allowed")
	}
}

func (t *Target) give(w http.ResponseWriter, r *http.Request, key string) {
	t.mu.Lock()
	data, ok := t.objects[key]
	t.fetched[key] = true
	t.mu.Unlock()
	if !ok {
		refuse(w, r, http.StatusNotFound, fmt.Sprintf("%s://%s does not exist", api.ProviderAIS, key))
		return
	}
	w.Header().Set("Content-Type", api.MimeBinary)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// maxResult bounds a result, bytes.
const maxResult = 1 << 30

func (t *Target) take(w http.ResponseWriter, r *http.Request, key string) {
	data, err := readResult(r.Body)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused[key] {
		refuse(w, r, http.StatusInsufficientStorage, "no space left")
		return
	}
	t.stored[key] = stored{data, r.URL.Query()}
}

// readResult reads all of a result.
func readResult(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxResult+1))
	if err == nil && len(data) > maxResult {
		err = fmt.Errorf("the result is larger than %d MiB", maxResult>>20)
	}
	return data, err
}

func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	e := api.Errorf(status, "", "%s", text)
	e.Method, e.Path = r.Method, r.URL.Path
	w.Header().Set("Content-Type", api.MimeErr)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(e)
}

func (t *Target) put(o object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects[bucket+"/"+o.name] = o.data
}

// wasFetched tells whether an object was asked for.
func (t *Target) wasFetched(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fetched[bucket+"/"+name]
}

// delivered takes what was PUT as a name.
func (t *Target) delivered(name string) (stored, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.stored[bucket+"/"+name]
	delete(t.stored, bucket+"/"+name)
	return s, ok
}

// refuses lets PUTs of a name fail.
func (t *Target) refuses(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused[bucket+"/"+name] = true
}

// stage plays the next transformer of a pipeline: it keeps what it got and
// answers with answer.
type stage struct {
	node
	mu     sync.Mutex
	seen   []passedOn                               // guarded by mu
	answer func(w http.ResponseWriter, body []byte) // called with mu held
}

// passedOn is a result that reached the next stage.
type passedOn struct {
	method, path, args, stops string
	body                      []byte
}

func newStage(answer func(w http.ResponseWriter, body []byte)) (*stage, error) {
	s := &stage{answer: answer}
	return s, s.listen("127.0.0.1:0", s.serve)
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	body, err := readResult(r.Body)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, passedOn{r.Method, r.URL.Path, r.URL.Query().Get(api.QparamETLArgs), r.Header.Get(api.HdrNodeURL), body})
	s.answer(w, body)
}

func answerDelivered(w http.ResponseWriter, body []byte) {
	w.Header().Set(api.HdrDirectPutLength, strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusNoContent)
}

// node is an HTTP server of this run.
type node struct {
	url  string // base
	srv  *http.Server
	done chan struct{}
}

func (n *node) listen(addr string, h http.HandlerFunc) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	n.url = "http://" + ln.Addr().String()
	n.done = make(chan struct{})
	n.srv = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(n.done)
		_ = n.srv.Serve(ln)
	}()
	return nil
}

// Close ends the server and its connections.
func (n *node) Close() error {
	err := n.srv.Close()
	<-n.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
