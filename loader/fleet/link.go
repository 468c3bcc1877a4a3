package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// link is one agent, as a coordinator has it.
type link struct {
	name  string // host:port
	token string
	http  *http.Client
	id    string // of the session, "" without one
}

// ParseAgents reads "host:port,host:port".
func ParseAgents(list string) (names []string, err error) {
	seen := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		host, port, err := net.SplitHostPort(name)
		if err != nil || host == "" || port == "" || strings.ContainsAny(name, "/@?# ") {
			return nil, fmt.Errorf("agent %q: must be HOST:PORT, and several with a comma between them", name)
		}
		if seen[name] {
			return nil, fmt.Errorf("agent %s is named twice, and an agent does one run at a time", name)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}

// post sends v, and takes the reply into out unless that is nil.
func (l *link) post(ctx context.Context, path string, v, out any) error {
	return l.do(ctx, http.MethodPost, path, v, out)
}

func (l *link) do(ctx context.Context, method, path string, v, out any) error {
	resp, err := l.send(ctx, method, path, v)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err == nil && out != nil {
		err = json.Unmarshal(data, out)
	}
	return l.failed(err)
}

// send sends a request. The caller closes the reply's body. What the agent
// refuses is an error in its words.
func (l *link) send(ctx context.Context, method, path string, v any) (*http.Response, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+l.name+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(hdrProtocol, fmt.Sprint(protocol))
	if l.token != "" {
		req.Header.Set("Authorization", "Bearer "+l.token)
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return nil, l.failed(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		why, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply))
		return nil, fmt.Errorf("agent %s refuses: %s", l.name, strings.TrimSpace(string(why)))
	}
	return resp, nil
}

// failed names the agent.
func (l *link) failed(err error) error {
	if err == nil {
		return nil
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("agent %s: %w", l.name, err)
}

// clock is by how much an agent's clock is ahead, and by how much that may be
// wrong at most: half of the round trip in which it was read.
type clock struct{ ahead, unsure time.Duration }

// compare reads the agent's clock a few times, and believes the quickest
// answer: what made the others slow may have been all on one way.
func (l *link) compare(ctx context.Context) (best clock, err error) {
	for i := range probes + 1 { // the first may have to connect
		var c clockReply
		sent := time.Now()
		if err := l.do(ctx, http.MethodGet, pathClock, nil, &c); err != nil {
			return clock{}, err
		}
		trip := time.Since(sent)
		here := sent.Add(trip / 2)
		if unsure := (trip + 1) / 2; i == 0 || unsure < best.unsure {
			best = clock{ahead: time.Duration(c.Now - here.UnixNano()), unsure: unsure}
		}
	}
	return best, nil
}

// session is a path below the session's.
func (l *link) session(op string) string { return pathSession + "/" + l.id + op }
