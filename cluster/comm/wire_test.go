package comm_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
)

// TestWireOfTheTarget holds byte for byte what a target asks a pod, as AIStore
// does.
func TestWireOfTheTarget(t *testing.T) {
	const uname = "/ais%2F@%23%2Fb%2Fd%2Fa%20b"
	args := func(r *comm.Request) { r.Args = "x y&z" }
	latest := func(r *comm.Request) { r.LatestVer = true }
	fqn := func(r *comm.Request) { r.Path = "/data/mp 1/o" }
	stops := func(r *comm.Request) {
		r.Stops = []string{"http://10.0.0.1:8000", "http://10.0.0.2:8081/ais%2F@%23%2Fdst%2Fo?owt=3&uuid=job"}
	}
	command := comm.Options{Command: []string{"cut", "-c", "1-3"}}
	tests := []struct {
		name, typ string
		o         comm.Options
		change    func(*comm.Request)
		inline    bool
		want      string // method, URI, body
		stops     string // Ais-Node-Url
		redirect  string // in place of a request, without the pod's address
	}{
		{name: "the object in a PUT", typ: "hpush", want: "PUT /b/d/a%20b [data]"},
		{name: "with arguments", typ: "hpush", change: args, want: "PUT /b/d/a%20b?etl_args=x+y%26z [data]"},
		{name: "of the latest version, which nobody is told", typ: "hpush", change: latest, want: "PUT /b/d/a%20b [data]"},
		{name: "a file's name, escaped twice, and no object", typ: "hpush", change: fqn, want: "PUT /b/d/a%20b?etl_fqn=%252Fdata%252Fmp%25201%252Fo []"},
		{name: "with stops", typ: "hpush", change: stops, want: "PUT /b/d/a%20b [data]",
			stops: "http://10.0.0.1:8000,http://10.0.0.2:8081/ais%2F@%23%2Fdst%2Fo?owt=3&uuid=job"},
		{name: "inline", typ: "hpush", inline: true, want: "PUT /b/d/a%20b [data]"},

		{name: "a GET of the uname", typ: "hpull", want: "GET " + uname + " []"},
		{name: "with arguments and the latest version", typ: "hpull", change: func(r *comm.Request) { args(r); latest(r) }, want: "GET " + uname + "?etl_args=x+y%26z&latest-ver=true []"},
		{name: "with a file's name", typ: "hpull", change: fqn, want: "GET " + uname + "?etl_fqn=%252Fdata%252Fmp%25201%252Fo []"},
		{name: "with stops", typ: "hpull", change: func(r *comm.Request) { r.Stops = []string{"http://10.0.0.1:8000"} }, want: "GET " + uname + " []", stops: "http://10.0.0.1:8000"},
		{name: "inline is for the client to ask", typ: "hpull", inline: true, change: args, redirect: uname + "?etl_args=x+y%26z"},

		{name: "offline as hpull", typ: "hrev", change: args, want: "GET " + uname + "?etl_args=x+y%26z []"},
		{name: "inline with the client's query", typ: "hrev", inline: true, change: func(r *comm.Request) { r.Query = "provider=ais&a=%20b" }, want: "GET " + uname + "?provider=ais&a=%20b []"},

		{name: "hpush with the stored command", typ: "io", o: command, want: "PUT /b/d/a%20b?command=bash&command=-c&command=cut+-c+1-3 [data]"},
		{name: "and arguments", typ: "io", o: command, change: args, want: "PUT /b/d/a%20b?command=bash&command=-c&command=cut+-c+1-3&etl_args=x+y%26z [data]"},
		{name: "a client's own command is not in it", typ: "io", o: command, inline: true, change: func(r *comm.Request) { r.Query = "command=sh" },
			want: "PUT /b/d/a%20b?command=bash&command=-c&command=cut+-c+1-3 [data]"},
		{name: "an image's own command is left to it", typ: "io", want: "PUT /b/d/a%20b [data]"},
	}
	for _, tt := range tests {
		t.Run(tt.typ+": "+tt.name, func(t *testing.T) {
			var asked, header string
			pod := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				data, _ := io.ReadAll(r.Body)
				asked, header = fmt.Sprintf("%s %s [%s]", r.Method, r.RequestURI, data), r.Header.Get("Ais-Node-Url")
			}))
			defer pod.Close()
			typ, err := comm.Lookup(tt.typ)
			require.NoError(t, err)
			link := typ.Dial(pod.URL, tt.o)
			defer link.Close()
			r := comm.Request{Bucket: "b", Name: "d/a b", Uname: "ais/@#/b/d/a b", Open: func() (comm.Object, error) {
				return comm.Object{Body: io.NopCloser(strings.NewReader("data")), Size: 4}, nil
			}}
			if tt.change != nil {
				tt.change(&r)
			}
			call := link.Offline
			if tt.inline {
				call = link.Inline
			}
			reply, err := call(t.Context(), r)
			require.NoError(t, err)
			if reply.Body != nil {
				require.NoError(t, reply.Body.Close())
			}
			require.Equal(t, tt.want, asked)
			require.Equal(t, tt.stops, header)
			require.Equal(t, tt.redirect, strings.TrimPrefix(reply.Redirect, pod.URL))
		})
	}
}
