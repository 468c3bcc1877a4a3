package conformance

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// transforms are what the recorded stand-ins for containers did, by image.
var transforms = map[string]func(data []byte, args string) ([]byte, error){
	"echo":  func(data []byte, _ string) ([]byte, error) { return data, nil },
	"upper": func(data []byte, _ string) ([]byte, error) { return bytes.ToUpper(data), nil },
	"md5": func(data []byte, args string) ([]byte, error) {
		return fmt.Appendf(nil, "%x", md5.Sum(append(data, args...))), nil
	},
	"fail": func([]byte, string) ([]byte, error) { return nil, errors.New("boom: transform failed") },
}

// standIn is one pod. It is written against the protocol's document and uses
// nothing of cluster/comm, which it is there to test.
type standIn struct {
	spec      pod.Spec
	url       string // its own
	target    string // AIS_TARGET_URL
	transform func([]byte, string) ([]byte, error)
	server    *http.Server
	served    sync.WaitGroup
	stop      sync.Once
	done      chan struct{}
	mu        sync.Mutex
	seen      []*seenRequest // guarded by mu
}

// seenRequest is what a pod was asked and what it did.
type seenRequest struct {
	RequestURI, Method, Host string
	Header                   http.Header
	Length                   int64
	Encoding                 []string
	Body                     string
	Response                 *http.Response
	Sent                     *http.Response // the reply to a direct put; nil without one
	SentReply                string
}

// fields are a request in the form of the recordings.
func (s *seenRequest) fields(t *testing.T, p *standIn) map[string]any {
	body, err := io.ReadAll(s.Response.Body)
	require.NoError(t, err)
	s.Response.Body = io.NopCloser(bytes.NewReader(body)) // for another case
	out := map[string]any{
		"request_uri": s.RequestURI, "method": s.Method, "host": s.Host, "headers": s.Header, "content_length": s.Length,
		"transfer_encoding": s.Encoding, "body": s.Body, "pod": p.spec.Name, "image": p.spec.Image,
	}
	response := map[string]any{"status": s.Response.StatusCode, "headers": s.Response.Header}
	if len(body) > 0 {
		response["body"] = string(body)
	}
	out["response"] = response
	if s.Sent != nil {
		out["direct_put"] = map[string]any{"url": s.Sent.Request.URL.String(), "request_headers": s.Sent.Request.Header,
			"status": s.Sent.StatusCode, "response_headers": s.Sent.Header, "response_body": s.SentReply}
	}
	return out
}

// made is the pod's own specification, in the form of the recordings.
func (p *standIn) made() map[string]any {
	s := p.spec
	container := map[string]any{"image": s.Image, "env": s.Env, "readinessProbe": map[string]any{
		"httpGet":        map[string]any{"path": s.Probe.Path},
		"timeoutSeconds": s.Probe.Timeout.Seconds(), "periodSeconds": s.Probe.Period.Seconds()}}
	if len(s.Command) > 0 {
		container["command"] = s.Command
	}
	return map[string]any{"metadata": map[string]any{"name": s.Name}, "spec": map[string]any{"containers": []any{container}}}
}

func (p *standIn) requests() []*seenRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

var _ pod.Pod = (*standIn)(nil)

// Info names the pod.
func (p *standIn) Info() pod.Info { return pod.Info{Name: p.spec.Name, Node: "node-a", URL: p.url} }

// Logs writes what the recorded stand-ins printed.
func (p *standIn) Logs(_ context.Context, w io.Writer) error {
	_, err := fmt.Fprintf(w, "log line 1 of %s\nlog line 2\n", p.spec.Name)
	return err
}

// Usage is what the recorded metrics server said.
func (p *standIn) Usage(context.Context) (pod.Usage, error) {
	return pod.Usage{CPU: 2.5e-07, Memory: 64 << 20}, nil
}

// Done is closed when the pod was stopped.
func (p *standIn) Done() <-chan struct{} { return p.done }

// Err is nil: no recorded pod died.
func (p *standIn) Err() error { return nil }

// Stop ends the server.
func (p *standIn) Stop(context.Context) (err error) {
	p.stop.Do(func() {
		err = p.server.Close()
		p.served.Wait()
		close(p.done)
	})
	return err
}

// ServeHTTP transforms one object.
func (p *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seen := &seenRequest{RequestURI: r.RequestURI, Method: r.Method, Host: r.Host, Header: r.Header.Clone(), Length: r.ContentLength,
		Encoding: r.TransferEncoding, Body: string(body)}
	rec := httptest.NewRecorder()
	p.answer(rec, r, body, seen)
	seen.Response = rec.Result()
	p.mu.Lock()
	p.seen = append(p.seen, seen)
	p.mu.Unlock()
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// answer is ServeHTTP once the request is read.
func (p *standIn) answer(w http.ResponseWriter, r *http.Request, body []byte, seen *seenRequest) {
	data, err := p.source(r, body)
	if err == nil {
		data, err = p.transform(data, r.URL.Query().Get("etl_args"))
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, err.Error())
		return
	}
	if stops := r.Header.Get("Ais-Node-Url"); stops != "" {
		p.forward(w, r, stops, data, seen)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data)
}

// source is the object: from a file that the target names, from the body, or
// from the target.
func (p *standIn) source(r *http.Request, body []byte) ([]byte, error) {
	if fqn := r.URL.Query().Get("etl_fqn"); fqn != "" {
		path, err := url.PathUnescape(fqn)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	}
	if r.Method != http.MethodGet {
		return body, nil
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	resp, err := http.Get(p.target + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// forward sends a result to its next stop and answers with what that said.
func (p *standIn) forward(w http.ResponseWriter, r *http.Request, stops string, data []byte, seen *seenRequest) {
	next, rest, _ := strings.Cut(stops, ",")
	u, err := url.Parse(next)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	to := next + strings.SplitN(r.RequestURI, "?", 2)[0]
	if u.Path != "" { // a target, which keeps it
		own, _ := url.Parse(p.target)
		to = "http://" + u.Host + own.EscapedPath() + u.EscapedPath() + "?" + u.RawQuery
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, to, bytes.NewReader(data))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if rest != "" {
		req.Header.Set(api.HdrNodeURL, rest)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	seen.Sent, seen.SentReply = resp, string(reply)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	case resp.StatusCode == http.StatusNoContent:
		w.Header().Set(api.HdrDirectPutLength, resp.Header.Get(api.HdrDirectPutLength))
		w.WriteHeader(http.StatusNoContent)
	case resp.StatusCode == http.StatusOK && len(reply) == 0:
		w.Header().Set(api.HdrDirectPutLength, strconv.Itoa(len(data)))
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(reply)
	}
}
