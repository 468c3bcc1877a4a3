package pod

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/child"
)

// EnvPort is a free port on loopback, for programs that listen on a port they
// are told: also as $(PORT) in a spec's command and args. Programs that know
// child.EnvAnnounce say themselves where they listen.
const EnvPort = "PORT"

// EnvSocket is the unix socket, of a name that is nobody else's, on which a pod
// may listen besides: its target then asks it there, which is cheaper. A name
// that begins with @ is an abstract one, which begins with a zero byte.
const EnvSocket = "ETLBENCH_SOCKET"

// EnvTargetSocket is a unix socket on which a pod's target listens besides: to
// ask it there is cheaper than by AIS_TARGET_URL's host and port.
const EnvTargetSocket = "ETLBENCH_TARGET_SOCKET"

// envPod is a pod's folder, by which killOrphans knows its processes.
const envPod = "ETLBENCH_POD"

// killOrphans kills every process whose pod's folder is below dir.
func killOrphans(dir string) {
	procs, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is well-formed
	for _, p := range procs {
		env, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+envPod+"="+dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// ProcessConfig of the local-process runtime.
type ProcessConfig struct {
	Dir    string // one folder a pod below it; emptied by NewProcess
	Images Images // what image names stand for
	// Code gives what serves CodeFile in the working directory with a spec's
	// Runtime, as a server or (PerObject) by a shim. An unknown runtime is an
	// error that names what there is.
	Code func(Spec) (Image, error)
	Shim []string // argv in front of a PerObject pod's command
	// PassEnv names variables of this process's environment that pods get, too.
	PassEnv []string
	Node    string // Info.Node
	Log     *slog.Logger
}

// Process is the Runtime whose pods are local processes, each in a process
// group of its own. They listen on loopback and die with this process.
type Process struct {
	cfg  ProcessConfig
	mu   sync.Mutex
	pods map[string]*processPod // by name; guarded by mu
}

var _ Runtime = (*Process)(nil)

// NewProcess clears what an earlier life left in cfg.Dir, and ends what still
// runs of its pods: those die with their parent, but not what they started.
func NewProcess(cfg ProcessConfig) (*Process, error) {
	killOrphans(cfg.Dir)
	if err := os.RemoveAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	return &Process{cfg: cfg, pods: map[string]*processPod{}}, nil
}

// Start runs the pod's program and waits until its probe answers.
func (r *Process) Start(ctx context.Context, s Spec) (Pod, error) {
	asked := time.Now()
	p, err := r.launch(s)
	if err != nil {
		return nil, fmt.Errorf("pod %s: %w", s.Name, err)
	}
	launched := time.Now()
	if err := p.ready(ctx, s.Probe); err != nil {
		err = fmt.Errorf("pod %s: %w%s", s.Name, err, p.lastWords())
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info.Start = api.PodStart{Launch: launched.Sub(asked), Ready: time.Since(launched)}
	return p, nil
}

// launch starts the program and registers the pod.
func (r *Process) launch(s Spec) (*processPod, error) {
	img, err := r.image(&s)
	if err != nil {
		return nil, err
	}
	if err := checkReads(s.Reads); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := checkFileName(s.Name); err != nil {
		return nil, err
	}
	dir := filepath.Join(r.cfg.Dir, s.Name)
	env := podEnv(img, s, dir, port, r.cfg.PassEnv)
	argv := s.argv(img, env)
	if s.PerObject {
		argv = append(append([]string{}, r.cfg.Shim...), argv...)
		img.Announces = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.pods[s.Name]; ok {
		return nil, fmt.Errorf("%w: a pod of this name runs already", ErrSpec)
	}
	if err := writeFiles(dir, s.Files); err != nil {
		return nil, err
	}
	p := &processPod{
		info:      Info{Name: s.Name, Node: r.cfg.Node, URL: "http://127.0.0.1:" + strconv.Itoa(port), Runs: img.Runs},
		container: s.Container,
		socket:    env[EnvSocket],
		log:       newRing(), gone: make(chan struct{}), announces: img.Announces,
	}
	p.meter.start()
	p.proc, err = child.Start(child.Config{Argv: argv, Env: environ(env), Dir: cmp.Or(img.Dir, dir), Output: p.log})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	r.pods[s.Name] = p
	go r.forget(p, dir)
	return p, nil
}

// forget cleans up after a pod that has gone.
func (r *Process) forget(p *processPod, dir string) {
	<-p.proc.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pods, p.info.Name)
	_ = os.RemoveAll(dir)
	p.ended()
}

// checkReads tells whether pods, which have this process's rights and file
// system, can read a folder.
func checkReads(dir string) error {
	if dir == "" {
		return nil
	}
	d, err := os.Open(dir)
	if err == nil {
		_, err = d.Readdirnames(1)
		d.Close()
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("%w: argument: the pod cannot read the objects' folder: %w", ErrSpec, err)
	}
	return nil
}

func environ(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	return list
}

// image is what a spec starts. For init code that is all of the command line.
func (r *Process) image(s *Spec) (Image, error) {
	if s.Runtime == "" {
		return r.cfg.Images.Find(s.Image)
	}
	img, err := r.cfg.Code(*s)
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	s.PerObject = false // it is the shim already
	return img, nil
}

// podEnv is all that a pod sees: nothing of this process's own environment
// but what a program cannot do without.
func podEnv(img Image, s Spec, dir string, port int, pass []string) map[string]string {
	env := map[string]string{"HOME": dir, "PATH": os.Getenv("PATH")}
	for _, name := range append([]string{"TMPDIR", "LANG", "SSL_CERT_FILE"}, pass...) {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	for k, v := range img.Env {
		env[k] = v
	}
	for _, e := range s.Env {
		env[e.Name] = e.Value
	}
	env[EnvPort] = strconv.Itoa(port)
	env[EnvSocket] = NewSocket()
	if s.TargetSocket != "" {
		env[EnvTargetSocket] = s.TargetSocket
	}
	env[envPod] = dir
	return env
}

// NewSocket gives the name of an abstract unix socket that is nobody else's.
func NewSocket() string { return "@etlbench-" + rand.Text() }

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := checkFileName(name); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// List tells of the running pods. None outlives its runtime, so there are no
// others.
func (r *Process) List(context.Context) ([]Info, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Info, 0, len(r.pods))
	for _, p := range r.pods {
		list = append(list, p.Info())
	}
	return list, nil
}

// Close stops every pod.
func (r *Process) Close() error {
	r.mu.Lock()
	pods := make([]*processPod, 0, len(r.pods))
	for _, p := range r.pods {
		pods = append(pods, p)
	}
	r.mu.Unlock()
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { errs[i] = p.Stop(context.Background()) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

type processPod struct {
	container string // Spec.Container
	// announces: nothing is asked before the pod has said where it listens.
	// The port that it was offered may be somebody else's by then.
	announces bool
	socket    string // that the pod was offered
	proc      *child.Process
	log       *ring
	mu        sync.Mutex
	info      Info          // guarded by mu: the URL may be announced
	unwanted  bool          // guarded by mu: Stop was called
	err       error         // valid after gone
	gone      chan struct{} // closed when the runtime has let go of the pod
	meter     meter
}

// ended says why the pod has gone.
func (p *processPod) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.unwanted {
		p.err = p.exitError(p.proc.Err())
	}
	close(p.gone)
}

func (p *processPod) exitError(err error) error {
	e := &ExitError{Container: cmp.Or(p.container, "server"), State: "Terminated", Reason: "Completed", Message: p.log.lastWords(512)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.Reason, e.ExitCode = "Error", exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.Reason, e.ExitCode = "Signal "+ws.Signal().String(), 128+int(ws.Signal())
		}
	}
	return e
}

// probeFirst is the wait between the first two probes; it doubles up to the
// spec's period. A local process is up in milliseconds, where Kubernetes would
// look again after seconds.
const probeFirst = 5 * time.Millisecond

// ready waits until the pod's probe answers 200.
func (p *processPod) ready(ctx context.Context, probe Probe) error {
	client := &http.Client{Timeout: probe.Timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("not asked yet")
	announced := !p.announces
	for wait := probeFirst; ; wait = min(2*wait, probe.Period) {
		select {
		case u := <-p.proc.URL():
			p.mu.Lock()
			p.info.URL = u
			p.mu.Unlock()
			wait, announced = probeFirst, true
		case <-p.gone:
			return p.err
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w (last probe: %w)", context.Cause(ctx), last)
		case <-time.After(wait):
		}
		if !announced {
			continue
		}
		if last = ask(ctx, client, p.Info().URL, probe.Path); last == nil {
			p.lookForSocket(ctx)
			return nil
		}
	}
}

// lookForSocket finds out whether the pod, which is ready, took the socket that
// it was offered.
func (p *processPod) lookForSocket(ctx context.Context) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return
	}
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info.Socket = p.socket
}

// ask is one probe.
func ask(ctx context.Context, client *http.Client, base, path string) error {
	if path == "" {
		path = "/health"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return nil
}

// lastWords is the end of the log, for errors that do not carry it already.
func (p *processPod) lastWords() string {
	select {
	case <-p.gone:
		return ""
	default:
	}
	if s := p.log.lastWords(512); s != "" {
		return "; its last words: " + s
	}
	return ""
}

// Info describes the pod.
func (p *processPod) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info
}

// Logs writes the end of the log.
func (p *processPod) Logs(_ context.Context, w io.Writer) error {
	_, err := w.Write(p.log.bytes())
	return err
}

// Done is closed when the program has gone.
func (p *processPod) Done() <-chan struct{} { return p.gone }

// Err says why.
func (p *processPod) Err() error {
	select {
	case <-p.gone:
		return p.err
	default:
		return nil
	}
}

// grace is how long a program has between SIGTERM and SIGKILL.
const grace = 2 * time.Second

// Stop asks the program's group to end, and kills it when it does not.
func (p *processPod) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.unwanted = true
	p.mu.Unlock()
	p.proc.Stop(ctx, grace)
	<-p.gone
	return nil
}
