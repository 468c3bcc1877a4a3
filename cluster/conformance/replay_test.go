package conformance

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"
)

// reply is what we answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// transport sends exactly what it is given: it follows nothing.
var transport = &http.Transport{DisableCompression: true}

// send replays one request: to the node that was asked, or to where our own
// redirect led if the recorded request came by one.
func (r *rig) send(e *exchange) *reply {
	body := r.requestBody(e)
	req, err := http.NewRequestWithContext(r.Context(), e.Method, r.target(e), body)
	require.NoError(r, err)
	req.Header = r.requestHeader(e)
	switch {
	case e.Request.header("Transfer-Encoding") != "":
		req.ContentLength = -1
	case len(e.Request.Body) > 0:
		req.ContentLength = int64(body.Len())
	default:
		req.Body = http.NoBody
	}
	resp, err := transport.RoundTrip(req)
	require.NoError(r, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(r, err)
	return &reply{resp.StatusCode, resp.Header, data}
}

func (r *rig) target(e *exchange) string {
	uri := (&url.URL{Path: e.Path}).EscapedPath()
	if e.Query != "" {
		uri += "?" + e.Query
	}
	if e.AnsweredBy != "proxy" && strings.Contains(e.Query, "pid=") {
		to := r.locations[uri]
		require.NotEmpty(r, to, "nothing was redirected to %s", uri)
		return to
	}
	return r.urls[e.AnsweredBy] + r.names.own(uri)
}

func (r *rig) requestBody(e *exchange) *bytes.Reader {
	data := e.Request.content(r.T)
	if e.Request.Encoding == encodingJSON {
		data = []byte(r.names.own(string(data)))
	}
	return bytes.NewReader(data)
}

// requestHeader is the recorded header; what the client library sets by itself
// and the referring page are left out.
func (r *rig) requestHeader(e *exchange) http.Header {
	h := http.Header{"User-Agent": {""}}
	for k, values := range e.Request.Headers {
		if k == "Content-Length" || k == "Transfer-Encoding" || k == "Referer" {
			continue
		}
		for _, v := range values {
			h.Add(k, r.names.own(v))
		}
	}
	return h
}

// redirected takes note of where a redirect leads here.
func (r *rig) redirected(e *exchange, got *reply) {
	theirs, ours := e.Response.header("Location"), got.header.Get("Location")
	if u, err := url.Parse(theirs); theirs != "" && ours != "" && err == nil {
		r.locations[u.RequestURI()] = ours
	}
}

// replay replays a file and returns in what we differ, by exchange.
func (r *rig) replay(rec *recording) map[int]diffs {
	all := map[int]diffs{}
	for i := range rec.Exchanges {
		e := &rec.Exchanges[i]
		got := r.send(e)
		r.redirected(e, got)
		if d := r.compare(e, got); len(d) > 0 {
			all[e.Seq] = d
		}
		if id := e.Response.jobID(r.T); id != "" && e.Method != http.MethodPut && !r.held && got.status == http.StatusOK {
			r.awaitJob(id)
		}
	}
	return all
}
