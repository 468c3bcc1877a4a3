package loader_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// Faults that a fake cluster can be asked for.
const (
	faultFlip     = "flip"     // one byte of the output
	faultTruncate = "truncate" // half of the body, then the connection is cut
	faultShort    = "short"    // one byte less, well-formed
	faultStall    = "stall"    // half of the body, then nothing
	faultStatus   = "status"   // 500 with the error JSON
	faultHangUp   = "hang up"  // the connection is cut before an answer
	faultRefused  = "refused"  // a redirect to a port where nobody listens
	faultLoop     = "loop"     // a redirect to the proxy again
	faultSum      = "checksum" // a PUT answered with another checksum
)

// fakeAIS is a cluster of one proxy, two targets and a pod, as far as a loader
// sees one. Its transform turns every bit around.
type fakeAIS struct {
	proxy   *httptest.Server
	targets []*httptest.Server
	pod     *httptest.Server
	dead    string // URL of nobody
	cmap    *api.Map

	// fault says what goes wrong with a request; op is "get", "etl", "put",
	// "create" or "job". Called concurrently.
	fault func(op, bucket, object string) string
	// badInit is the communication that has no ETL here.
	starts  map[string]api.PodStart // that ETLs tell
	badInit string
	noComm  string // the communication type that it does not have
	// initLimit is how often ETLs of a communication can be made; nil: always.
	initLimit map[string]int
	// noExt leaves out what real AIStore does not tell; noStats the counters too.
	noExt, noStats bool
	direct         bool // targets answer who was not redirected
	slowest        bool // targets tell of slow objects
	serverTiming   bool // nodes and pods tell their shares of the time to who asks
	// holdJob keeps jobs running until it is closed.
	holdJob chan struct{}
	noSums  bool         // PUTs answered without a checksum
	silent  bool         // targets do not tell what they use
	asked   atomic.Int64 // how often nodes were asked what they use
	refused atomic.Int64 // requests for ETLs that do not run

	mu      sync.Mutex // guards the rest
	buckets map[string]map[string][]byte
	etls    map[string]string // name to communication
	aborted map[string]bool   // of etls
	inits   []string          // names, in order
	specs   []api.ETLSpec
	jobs    map[string]*fakeJob
	seen    map[string]int // requests at the proxy, by method and path
	quit    chan struct{}  // frees stalled handlers
}

type fakeJob struct {
	done    chan struct{}
	stopped bool
	err     string
	start   time.Time
	end     time.Time
	snaps   map[string]*fakeShare
}

type fakeShare struct {
	slowest     []api.ObjectTime
	objs, bytes int64
	times       *hdrhistogram.Histogram
}

func newFake(t testing.TB) *fakeAIS {
	f := &fakeAIS{
		fault:   func(string, string, string) string { return "" },
		buckets: map[string]map[string][]byte{},
		etls:    map[string]string{},
		aborted: map[string]bool{},
		jobs:    map[string]*fakeJob{},
		seen:    map[string]int{},
		quit:    make(chan struct{}),
	}
	serve := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s
	}
	gone := httptest.NewServer(nil)
	f.dead = gone.URL
	gone.Close()
	f.proxy = serve(f.serveProxy)
	f.pod = serve(f.servePod)
	f.cmap = &api.Map{Proxies: map[string]*api.NodeInfo{}, Targets: map[string]*api.NodeInfo{}, Version: 3}
	p, err := api.NewNode(api.TypeProxy, "proxy001", f.proxy.URL)
	require.NoError(t, err)
	f.cmap.Proxies[p.ID], f.cmap.Primary = p, p
	for i := range 2 {
		s := serve(f.serveTarget)
		n, err := api.NewNode(api.TypeTarget, fmt.Sprintf("target%02d", i), s.URL)
		require.NoError(t, err)
		f.cmap.Targets[n.ID] = n
		f.targets = append(f.targets, s)
	}
	t.Cleanup(func() { close(f.quit) }) // before the servers close
	return f
}

func (f *fakeAIS) count(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[key]
}

// empty tells that nothing is left in the cluster but the buckets named.
func (f *fakeAIS) requireClean(t *testing.T, buckets ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	left := []string{}
	for b := range f.buckets {
		left = append(left, b)
	}
	require.ElementsMatch(t, buckets, left, "buckets left")
	require.Empty(t, f.etls, "ETLs left")
}

func (f *fakeAIS) serveProxy(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen[r.Method+" "+r.URL.Path]++
	f.mu.Unlock()
	switch p := r.URL.Path; {
	case strings.HasPrefix(p, api.PathObjects+"/"):
		f.redirect(w, r)
	case p == api.PathDaemon && r.URL.Query().Get(api.QparamWhat) == "node_status":
		f.serveUse(w)
	case p == api.PathDaemon:
		reply(w, f.cmap)
	case strings.HasPrefix(p, api.PathBuckets+"/"):
		f.serveBucket(w, r, strings.TrimPrefix(p, api.PathBuckets+"/"))
	case strings.HasPrefix(p, api.PathETL):
		f.serveETL(w, r, strings.Split(strings.TrimPrefix(p, api.PathETL), "/")[1:])
	case p == api.PathCluster:
		f.serveJobs(w, r)
	default:
		fail(w, http.StatusBadRequest, "what is "+p)
	}
}

// serveUse tells of a node that takes 10 ms more with each question.
func (f *fakeAIS) serveUse(w http.ResponseWriter) {
	n := f.asked.Add(1)
	_, _ = fmt.Fprintf(w, `{"sys_info":{"proc":{"CPU":{"Total":%d},"Mem":{"Resident":%d}}}}`, 1000+10*n, 8<<20)
}

// object splits an object's path.
func object(r *http.Request) (bucket, name string) {
	bucket, name, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, api.PathObjects+"/"), "/")
	return bucket, name
}

func opOf(r *http.Request) string {
	switch {
	case r.Method == http.MethodPut:
		return "put"
	case r.URL.Query().Get(api.QparamETLName) != "":
		return "etl"
	}
	return "get"
}

func (f *fakeAIS) redirect(w http.ResponseWriter, r *http.Request) {
	b, name := object(r)
	f.mu.Lock()
	_, ok := f.buckets[b]
	f.mu.Unlock()
	if !ok {
		reply(w, &api.Error{Status: 404, Kind: api.KindBucketNotFound, Message: "no bucket " + b})
		return
	}
	t, _ := f.cmap.Owner(api.AIS(b), name)
	base := t.PubNet.URL
	switch f.fault(opOf(r), b, name) {
	case faultRefused:
		base = f.dead
	case faultLoop:
		base = f.proxy.URL
	}
	f.timing(w, r, "proxy;dur=0.5")
	w.Header().Set("Location", base+r.URL.EscapedPath()+"?"+r.URL.RawQuery+"&pid=proxy001&utm=abc")
	if r.Method == http.MethodPut {
		if r.Header.Get("Expect") != "" { // the body comes when it is asked for
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		if n, _ := io.Copy(io.Discard, r.Body); n != 0 {
			fail(w, http.StatusBadRequest, "the proxy got a body")
			return
		}
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusMovedPermanently)
	_, _ = io.WriteString(w, "<a href=\"somewhere\">Moved Permanently</a>.\n")
}

func (f *fakeAIS) serveTarget(w http.ResponseWriter, r *http.Request) {
	b, name := object(r)
	q := r.URL.Query()
	if r.URL.Path == api.PathDaemon {
		if f.silent {
			fail(w, http.StatusBadRequest, "what is that")
		} else {
			f.serveUse(w)
		}
		return
	}
	if q.Get(api.QparamProxyID) == "" && !f.direct {
		fail(w, http.StatusBadRequest, "expected to be redirected")
		return
	}
	if r.Method == http.MethodPut {
		f.putObject(w, r, b, name)
		return
	}
	f.mu.Lock()
	data, ok := f.buckets[b][name]
	comm, known := f.etls[q.Get(api.QparamETLName)]
	known = known && !f.aborted[q.Get(api.QparamETLName)]
	f.mu.Unlock()
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "ais://"+b+"/"+name+" does not exist")
	case opOf(r) == "get":
		f.write(w, r, "get", b, name, data)
	case !known:
		f.refused.Add(1)
		fail(w, http.StatusNotFound, "does not exist - try starting new ETL")
	case comm == "hpull://":
		uname := url.PathEscape(api.AIS(b).Uname(name))
		f.timing(w, r, "target;dur=2")
		http.Redirect(w, r, f.pod.URL+"/"+uname+"?etl_fqn=x", http.StatusTemporaryRedirect)
	default:
		f.timing(w, r, "target;dur=2, pod;dur=1")
		f.write(w, r, "etl", b, name, invert(data))
	}
}

// timing tells who asks how long something took.
func (f *fakeAIS) timing(w http.ResponseWriter, r *http.Request, value string) {
	if f.serverTiming && r.Header.Get(api.HdrTiming) == "1" {
		w.Header().Set("Server-Timing", value)
	}
}

// servePod answers clients that an hpull target has sent here. The name comes
// as one escaped segment.
func (f *fakeAIS) servePod(w http.ResponseWriter, r *http.Request) {
	segment := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	uname, err := url.PathUnescape(segment)
	if err != nil || strings.Contains(segment, "/") {
		fail(w, http.StatusBadRequest, "not one segment: "+segment)
		return
	}
	b, name, _ := api.ParseUname(uname)
	f.timing(w, r, "pod;dur=1")
	f.mu.Lock()
	data := f.buckets[b][name]
	f.mu.Unlock()
	f.write(w, r, "etl", b, name, invert(data))
}

func (f *fakeAIS) putObject(w http.ResponseWriter, r *http.Request, b, name string) {
	if f.fault("put", b, name) == faultStatus {
		fail(w, http.StatusInternalServerError, "disk full")
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || int64(len(data)) != r.ContentLength {
		fail(w, http.StatusBadRequest, "short body")
		return
	}
	sum := xxhash.Sum64(data)
	if f.fault("put", b, name) == faultSum {
		sum++
	}
	f.mu.Lock()
	f.buckets[b][name] = data
	f.mu.Unlock()
	if !f.noSums {
		w.Header().Set(api.HdrChecksumType, "xxhash2")
		w.Header().Set(api.HdrChecksumValue, fmt.Sprintf("%016x", sum))
	}
}

// write answers with data, or with what the fault makes of it. Even lengths
// are announced, odd ones come chunked.
func (f *fakeAIS) write(w http.ResponseWriter, r *http.Request, op, b, name string, data []byte) {
	half := data[:len(data)/2]
	length := func(n int) {
		if len(data)%2 == 0 {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
	}
	switch f.fault(op, b, name) {
	case faultFlip:
		data = slices.Clone(data)
		data[len(data)/2] ^= 1
	case faultShort:
		data = data[1:]
	case faultTruncate:
		length(len(data))
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case faultStall:
		length(len(data))
		_, _ = w.Write(half)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-f.quit:
		}
		return
	case faultStatus:
		fail(w, http.StatusInternalServerError, "ETL error: it broke")
		return
	case faultHangUp:
		panic(http.ErrAbortHandler)
	}
	length(len(data))
	_, _ = w.Write(data)
}

func (f *fakeAIS) serveBucket(w http.ResponseWriter, r *http.Request, b string) {
	var msg struct {
		Action string
		Value  json.RawMessage
	}
	_ = json.NewDecoder(r.Body).Decode(&msg)
	if msg.Action == api.ActCreateBucket && f.fault("create", b, "") == faultHangUp {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	objects, ok := f.buckets[b]
	switch {
	case msg.Action == api.ActCreateBucket && ok:
		fail(w, http.StatusConflict, "bucket already exists")
	case msg.Action == api.ActCreateBucket:
		f.buckets[b] = map[string][]byte{}
	case !ok:
		fail(w, http.StatusNotFound, "bucket "+b+" does not exist")
	case msg.Action == api.ActDestroyBucket:
		delete(f.buckets, b)
	case msg.Action == api.ActList:
		page := &api.ListPage{UUID: "abcdefghi"}
		for name, data := range objects {
			page.Entries = append(page.Entries, &api.ListEntry{Name: name, Size: int64(len(data))})
		}
		w.Header().Set("Content-Type", api.MimeMsgpack)
		_, _ = w.Write(page.AppendMsgpack(nil))
	case msg.Action == api.ActETLBucket:
		var value api.TransformMsg
		_ = json.Unmarshal(msg.Value, &value)
		f.startJob(w, b, r.URL.Query().Get(api.QparamBckTo), value)
	}
}

// startJob is called with mu held.
func (f *fakeAIS) startJob(w http.ResponseWriter, src, to string, msg api.TransformMsg) {
	dst, _, _ := api.ParseUname(to)
	if _, ok := f.etls[msg.ID]; !ok || !msg.ContinueOnErr {
		fail(w, http.StatusNotFound, "ETL "+msg.ID+" doesn't exist")
		return
	}
	id := fmt.Sprintf("job-%06d", len(f.jobs))
	j := &fakeJob{done: make(chan struct{}), start: time.Now(), snaps: map[string]*fakeShare{}}
	for t := range f.cmap.Targets {
		j.snaps[t] = &fakeShare{times: hdrhistogram.New(1000, 3_600_000_000_000, 3)}
	}
	for name, data := range f.buckets[src] {
		if !strings.HasPrefix(name, msg.Prefix) {
			continue
		}
		owner, _ := f.cmap.Owner(api.AIS(src), name)
		out := invert(data)
		switch f.fault("job", src, name) {
		case faultFlip:
			out[len(out)/2] ^= 1
		case faultShort:
			out = out[1:]
		case faultStatus:
			j.err = "ais://" + src + "/" + name + ": it broke"
			continue
		}
		f.buckets[dst][name] = out
		s := j.snaps[owner.ID]
		s.objs++
		s.bytes += int64(len(data))
		_ = s.times.RecordValue(int64(time.Millisecond) * s.objs)
		s.slowest = append(s.slowest, api.ObjectTime{Name: name, Took: time.Millisecond * time.Duration(s.objs)})
	}
	j.end = j.start.Add(250 * time.Millisecond) // as its targets tell
	f.jobs[id] = j
	if f.holdJob == nil {
		close(j.done)
	}
	_, _ = io.WriteString(w, id)
}

func (f *fakeAIS) serveETL(w http.ResponseWriter, r *http.Request, path []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(path) == 0 && r.Method == http.MethodGet {
		list := []api.ETLInfo{}
		for name := range f.etls {
			stage := api.StageRunning
			if f.aborted[name] {
				stage = api.StageAborted
			}
			list = append(list, api.ETLInfo{ID: name, Stage: stage})
		}
		reply(w, list)
		return
	}
	if len(path) == 0 {
		var spec api.ETLSpec
		_ = json.NewDecoder(r.Body).Decode(&spec)
		f.inits = append(f.inits, spec.Name)
		f.specs = append(f.specs, spec)
		f.etls[spec.Name] = spec.Communication
		left, limited := f.initLimit[spec.Communication]
		if limited {
			f.initLimit[spec.Communication]--
		}
		if spec.Communication == f.noComm { // AIStore 5.0's words, as recorded
			fail(w, http.StatusBadRequest, fmt.Sprintf(`invalid etl.InitMsg: ETLSpecMsg error: [etl=%q] runtime.image must be specified; `+
				`InitSpecMsg error: [etl=%[1]q] unknown comm-type %q [init-spec[%[1]s-%[2]s], timeout=(0s, 0s)]`, spec.Name, spec.Communication))
			return
		}
		if spec.Communication == f.badInit || limited && left == 0 {
			fail(w, http.StatusBadRequest, "unknown communication type "+spec.Communication)
			return
		}
		_, _ = io.WriteString(w, "etl-abcdefghi")
		return
	}
	if _, ok := f.etls[path[0]]; !ok {
		fail(w, http.StatusNotFound, "etl job "+path[0]+" does not exist")
		return
	}
	if r.Method == http.MethodDelete {
		delete(f.etls, path[0])
	}
	if r.Method == http.MethodGet && len(path) == 1 {
		reply(w, api.ETLDetails{Stage: api.StageRunning, Starts: f.starts})
	}
	if len(path) == 2 && path[1] == "start" {
		delete(f.aborted, path[0])
		reply(w, "etl-abcdefghi")
	}
}

// abort ends an ETL, as a cluster does whose pod has died.
func (f *fakeAIS) abort(etl string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aborted[etl] = true
}

func (f *fakeAIS) serveJobs(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		var msg struct{ Value api.JobQuery }
		_ = json.NewDecoder(r.Body).Decode(&msg)
		f.mu.Lock()
		f.jobs[msg.Value.ID].stopped = true
		f.mu.Unlock()
		return
	}
	var q api.JobQuery
	_ = json.NewDecoder(r.Body).Decode(&q)
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[q.ID]
	if j == nil {
		fail(w, http.StatusNotFound, "x-["+q.ID+"] does not exist")
		return
	}
	if r.URL.Query().Get(api.QparamWhat) == "status" {
		s := api.JobStatus{UUID: q.ID, Kind: api.ActETLBucket, Err: j.err}
		select {
		case <-j.done:
			s.EndTime = j.end.UnixNano()
		default:
		}
		reply(w, s)
		return
	}
	snaps := map[string][]api.Snap{}
	for t, s := range j.snaps {
		snaps[t] = nil
		if !f.noStats {
			snaps[t] = []api.Snap{f.snap(q.ID, j, s)}
		}
	}
	reply(w, snaps)
}

func (f *fakeAIS) snap(id string, j *fakeJob, s *fakeShare) api.Snap {
	snap := api.Snap{ID: id, Start: j.start, End: j.end}
	snap.Stats.LocObjs, snap.Stats.LocBytes = s.objs, s.bytes
	if !f.noExt {
		b, _ := s.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		// Encode gives base64 already.
		if _, err := base64.StdEncoding.DecodeString(string(b)); err != nil {
			panic(err)
		}
		snap.Ext = &api.SnapExt{ObjectTimes: string(b), Objects: s.objs, SourceBytes: s.bytes}
		if f.slowest {
			snap.Ext.Slowest = s.slowest
		}
	}
	return snap
}

func invert(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

func reply(w http.ResponseWriter, v any) {
	if e, ok := v.(*api.Error); ok {
		w.Header().Set("Content-Type", api.MimeErr)
		w.WriteHeader(e.Status)
	}
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, message string) {
	reply(w, &api.Error{Status: status, Message: message, Node: "t[x]"})
}
