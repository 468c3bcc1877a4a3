package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/child"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/link"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/python"
)

type transformFlags struct {
	listen  string
	python  string
	io      bool
	command bool
	args    string
	copyTo  string
	web     string
	// of --python
	requirements, environments string
	host                       pythonHost
}

// pythonHost keeps interpreters: a python.Host or a python.IO.
type pythonHost interface {
	Transform(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error
	Done() <-chan struct{}
	Err() error
	Close() error
}

// envAhead is how many processes of a command are started before there is an
// object: see README.
const envAhead = "ETLBENCH_AHEAD"

// maxAhead bounds it: each is a process that waits.
const maxAhead = 256

func transformCmd(e *env) *cobra.Command {
	var f transformFlags
	cmd := &cobra.Command{
		Use:   "transform NAME [PARAMETER]",
		Short: "transform standard input, serve a transformer to targets, or check one",
		Long: "Transforms standard input to standard output once, which is what io:// runs for every object.\n" +
			"With --listen, or when started as a pod, it serves targets instead.\n\n" +
			"Transforms: " + strings.Join(transformers.Names(), ", ") + ".\n" +
			"expand and shrink have a factor as their parameter (10x), sleep and burn a time (5ms).",
		Example: "  etlbench transform md5 < file\n" +
			"  etlbench transform tar-images --args 128 < shard.tar > small.tar\n" +
			"  etlbench transform sleep 20ms < file\n" +
			"  etlbench transform echo --listen 127.0.0.1:8000\n" +
			"  etlbench transform --listen 127.0.0.1:8000 --command -- gzip -c",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.copyTo != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.copyTo != "" {
				return fail(installProgram(e.exe, f.copyTo))
			}
			if f.web != "" {
				return fail(becomeWeb(cmd.Context(), f.web, args[0]))
			}
			return f.run(cmd.Context(), e, args)
		},
	}
	cmd.AddCommand(checkCmd(e))
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", "", "serve on `HOST:PORT`")
	fl.StringVar(&f.args, "args", "", "etl_args of a single run, such as the size of tar-images")
	fl.StringVar(&f.python, "python", "", "serve the Python file NAME with the interpreter at `PATH`")
	fl.BoolVar(&f.io, "io", false, "with --python: a process an object, as io:// has it")
	fl.StringVar(&f.requirements, "requirements", "", "with --python: install what `FILE` requires, in pip's format")
	fl.StringVar(&f.environments, "environments", "", "with --requirements: `FOLDER` to keep what was installed in")
	cmd.MarkFlagsRequiredTogether("requirements", "environments")
	fl.StringVar(&f.copyTo, "install", "", "copy this program to `FILE`, for pods of other images to run it")
	_ = fl.MarkHidden("install")
	fl.StringVar(&f.web, "web", "", "serve NAME at 127.0.0.1:$PORT behind Python's web server `SERVER`; without $PORT transform standard input: "+strings.Join(python.WebServers(), ", "))
	fl.BoolVar(&f.command, "command", false, "serve the command NAME with its arguments, a process an object")
	return cmd
}

// becomeWeb replaces this process by a Python that serves a sample or, without a
// port, transforms standard input as io:// has it.
func becomeWeb(ctx context.Context, server, name string) error {
	i := python.Interpreter{Path: os.Getenv(envPython)}
	if i.Path == "" {
		var err error
		if i, err = python.FindWeb(ctx, server); err != nil {
			return err
		}
	}
	argv, err := python.WebCommand(i, server, name)
	if err != nil {
		return err
	}
	return unix.Exec(argv[0], argv, os.Environ())
}

// installProgram copies the executable, for a container that shares a folder.
func installProgram(exe, to string) (err error) {
	src, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func (f *transformFlags) run(ctx context.Context, e *env, args []string) error {
	announce := e.get(child.EnvAnnounce)
	if f.listen == "" && announce != "" {
		f.listen = "127.0.0.1:0"
	}
	t, done, err := f.transform(ctx, e, args)
	if err != nil {
		return err
	}
	defer done()
	if f.command || f.host != nil {
		if t, err = timeLimited(e, t); err != nil {
			return fail(err)
		}
	}
	if f.listen != "" {
		return fail(f.serve(ctx, e, t, announce))
	}
	if err := t(ctx, e.out, os.Stdin, comm.Info{Size: -1, Args: f.args}); err != nil {
		return fail(fmt.Errorf("transform %s: %w", args[0], err))
	}
	return nil
}

// timeLimited is a transform of foreign code in a pod: what hangs there holds a
// worker or a process until somebody ends it.
func timeLimited(e *env, t comm.Transform) (comm.Transform, error) {
	text := e.get(api.EnvObjectTimeout)
	if text == "" {
		return t, nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 {
		return nil, fmt.Errorf("%s=%s: must be a time, such as 10s", api.EnvObjectTimeout, text)
	}
	return comm.Limit(t, limit), nil
}

// envWorkerMemory is python.Config.MaxRSS of a pod: see README.
const envWorkerMemory = "ETLBENCH_WORKER_MEMORY"

// workerMemory is what it says, 0 if it is not there.
func workerMemory(e *env) (size scenarios.Bytes, err error) {
	if text := e.get(envWorkerMemory); text != "" {
		if err = size.UnmarshalText([]byte(text)); err != nil {
			err = fmt.Errorf("%s: %w", envWorkerMemory, err)
		}
	}
	return size, err
}

// transform is what the flags ask for; done frees it.
func (f *transformFlags) transform(ctx context.Context, e *env, args []string) (t comm.Transform, done func(), err error) {
	done = func() {}
	switch {
	case f.command:
		return commandTransform(e, args)
	case len(args) > 2 || len(args) > 1 && f.python != "":
		return nil, nil, fmt.Errorf("unexpected %q: a name and its parameter are all it takes", args[len(args)-1])
	case f.requirements != "" && f.python == "":
		return nil, nil, errors.New("--requirements: goes with --python")
	case f.python != "":
		return f.code(ctx, e, args[0])
	}
	name := strings.Join(args, "-")
	t, ok := transformers.Lookup(name)
	if !ok {
		return nil, nil, fmt.Errorf("unknown transform %q: have %s", name, strings.Join(transformers.Names(), ", "))
	}
	return t, done, nil
}

// commandTransform runs a command for each object.
func commandTransform(e *env, argv []string) (t comm.Transform, done func(), err error) {
	text := e.get(envAhead)
	if text == "" {
		return comm.Command(argv, objectEnv(), e.err), func() {}, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxAhead {
		return nil, nil, fail(fmt.Errorf("%s=%s: must be a number of processes, 0 to %d", envAhead, text, maxAhead))
	}
	t, done = comm.Ahead(count, argv, objectEnv(), e.err)
	return t, done, nil
}

// maxChunk is the largest chunk size, bytes; init refuses more.
const maxChunk = 1 << 20

// functions is what the environment of a pod says of its code, as AIStore's
// runtimes have it: a chunk size that is none means 0.
func functions(e *env) python.Functions {
	chunk, err := strconv.Atoi(e.get("CHUNK_SIZE"))
	if err != nil || chunk < 0 || chunk > maxChunk {
		chunk = 0
	}
	return python.Functions{Transform: e.get("FUNC_TRANSFORM"), Before: e.get("FUNC_BEFORE"), After: e.get("FUNC_AFTER"),
		ChunkSize: chunk}
}

// codeError is a mistake in the user's code in one line. Its traceback stands
// in the log already.
func codeError(err error) error {
	var mistake *python.CodeError
	if errors.As(err, &mistake) {
		err = errors.New(mistake.Summary)
	}
	return fail(err)
}

// code serves Python code, with what it requires.
func (f *transformFlags) code(ctx context.Context, e *env, code string) (t comm.Transform, done func(), err error) {
	vars, packages := objectEnv(), func() {}
	if f.requirements != "" {
		if vars, packages, err = f.install(ctx, e, vars); err != nil {
			return nil, nil, fail(err)
		}
	}
	cfg := python.Config{Python: f.python, Code: code, Functions: functions(e), Env: vars, Stderr: e.err}
	memory, err := workerMemory(e)
	if err == nil {
		cfg.MaxRSS = int64(memory)
		f.host, err = startPython(ctx, cfg, f.io)
	}
	if err != nil {
		packages()
		return nil, nil, codeError(err)
	}
	return f.host.Transform, func() {
		f.host.Close()
		packages()
	}, nil
}

// startPython starts what runs the code. With io it is checked before: a
// mistake in it would else show only at the first object.
func startPython(ctx context.Context, cfg python.Config, io bool) (pythonHost, error) {
	if !io {
		return python.New(ctx, cfg)
	}
	if err := python.Check(ctx, cfg.Python, cfg.Code, cfg.Functions, true); err != nil {
		return nil, err
	}
	return python.NewIO(ctx, cfg)
}

// install installs what the code requires. It returns the environment variables
// that the code finds it by; done lets go of it.
func (f *transformFlags) install(ctx context.Context, e *env, vars []string) (_ []string, done func(), err error) {
	cfg := python.InstallConfig{Python: f.python, Dir: f.environments, Log: e.err}
	if cfg.Requirements, err = os.ReadFile(f.requirements); err != nil {
		return nil, nil, err
	}
	if cfg.Env, err = pipEnv(); err != nil {
		return nil, nil, err
	}
	packages, err := python.Install(ctx, cfg)
	if err != nil || packages == nil {
		return vars, func() {}, err
	}
	return packages.Environ(vars), func() { packages.Close() }, nil
}

// pipEnv is pip's environment: in a pod, what the target has handed down and
// the settings of pip that are the ETL's own.
func pipEnv() (env []string, err error) {
	var own []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if down, ok := strings.CutPrefix(kv, installPrefix); ok {
			env = append(env, down)
		} else if strings.HasPrefix(name, "PIP_") {
			own = append(own, kv)
			err = errors.Join(err, python.CheckPipVariable(name))
		}
	}
	if env == nil { // no pod
		return os.Environ(), nil
	}
	return append(env, own...), err // of two the last counts
}

// objectEnv is the environment of programs that a transformer runs. They are
// not to listen or announce themselves in its place, and what pip is told, which may be
// a password, is not for them.
func objectEnv() []string {
	mine := []string{child.EnvAnnounce, pod.EnvPort, pod.EnvSocket, pod.EnvTargetSocket}
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(mine, name) || strings.HasPrefix(kv, installPrefix)
	})
}

// besides adds the socket on which its target may ask a pod. A link that faults
// are to impair is of TCP, so that there is no way past it.
func (f *transformFlags) besides(e *env, ln net.Listener) ([]net.Listener, error) {
	name := e.get(pod.EnvSocket)
	if name == "" || e.get(link.EnvControl) != "" {
		return []net.Listener{ln}, nil
	}
	socket, err := net.Listen("unix", name)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return []net.Listener{ln, socket}, nil
}

func (f *transformFlags) serve(ctx context.Context, e *env, t comm.Transform, announce string) error {
	s, err := comm.NewServer(comm.ServerConfig{Transform: t, TargetURL: e.get(api.EnvTargetURL), TargetSocket: e.get(pod.EnvTargetSocket),
		DirectPut: e.get(api.EnvDirectPut) == "true", FQNRoot: e.get(api.EnvFQNRoot),
		Log: slog.New(slog.NewTextHandler(e.err, nil))})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return portHint(err)
	}
	url := "http://" + ln.Addr().String()
	ln, linkDone, err := linked(ctx, e, ln, 0)
	if err != nil {
		return err
	}
	defer linkDone()
	lns, err := f.besides(e, ln)
	if err != nil {
		return err
	}
	announced, err := child.Announce(announce, url)
	if err != nil {
		return err
	}
	if !announced {
		fmt.Fprintf(e.err, "serving on %s; Ctrl-C stops it\n", url)
	}
	if f.host == nil {
		return s.Serve(ctx, lns...)
	}
	// Without workers there is nothing left to serve with: end, and say why.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-f.host.Done()
		cancel(f.host.Err())
	}()
	err = s.Serve(ctx, lns...)
	return errors.Join(err, f.host.Err())
}
