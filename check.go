package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/check"
)

type checkFlags struct {
	cfg                                 check.Config
	comm                                []string
	images, target, large, output       string
	input, bad                          string // files
	expect, expectCmd, expectFile, name string
	fqn                                 bool
	argv                                []string // behind --
	perObject                           bool
}

func checkCmd(e *env) *cobra.Command {
	f := checkFlags{cfg: check.Default()}
	cmd := &cobra.Command{
		Use:   "check URL|IMAGE|-- COMMAND...",
		Short: "run a transformer of your own through the protocol between targets and transformers",
		Long: "Plays the target of a transformer: one that serves at a URL, one of the image table, or a command that\n" +
			"is started as a pod is, with PORT, AIS_TARGET_URL and direct_put in its environment, $(PORT) replaced in\n" +
			"its arguments, and little else of this shell's environment than PATH. Every communication type that it\n" +
			"claims is checked, rule by rule: small, large and oddly named objects, many at once, clients that hang\n" +
			"up or are slow, errors, direct put and pipelines.\n\n" +
			"Results are judged by consistency: the same object must give the same result, in every type, alone and\n" +
			"in parallel, answered and delivered. --expect says what they should be, --nondeterministic that they vary.\n\n" +
			"Exit code 2: something failed; 3: it could not be run.",
		Example: "  etlbench transform check -- python3 server.py\n" +
			"  etlbench transform check --comm io --expect-cmd 'gzip -nc' -- gzip -nc\n" +
			"  etlbench transform check etlbench/tar-images --input shard.tar --expect tar-images --args 64\n" +
			"  etlbench transform check http://127.0.0.1:8000 --target http://127.0.0.1:9000/v1/etl/_object/mine/secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.parse(cmd.ArgsLenAtDash(), args); err != nil {
				return err
			}
			return fail(f.run(cmd.Context(), e))
		},
	}
	f.flags(cmd)
	return cmd
}

func (f *checkFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.comm, "comm", nil, "check these communication `TYPES`, with commas between (default: those that a probe finds)")
	fl.StringVar(&f.images, "images", "", imagesUsage)
	fl.StringVar(&f.target, "target", "", "the AIS_TARGET_URL, on loopback, that a transformer at a `URL` was started with")
	fl.StringVar(&f.cfg.Health, "health", f.cfg.Health, "`PATH` of the readiness probe")
	fl.DurationVar(&f.cfg.Wait, "wait", f.cfg.Wait, "how long to wait for readiness, `TIME`")
	fl.DurationVar(&f.cfg.Timeout, "timeout", f.cfg.Timeout, "`TIME` that one exchange may take")
	fl.StringVar(&f.large, "large", "8MiB", "`SIZE` of the large object")
	fl.IntVar(&f.cfg.Parallel, "parallel", f.cfg.Parallel, "`N` requests at once, and N clients that hang up")
	fl.StringVar(&f.input, "input", "", "`FILE` with an object's contents, for transforms that take certain contents only (default: text)")
	fl.StringVar(&f.bad, "bad", "", "`FILE` with an object that must be refused")
	fl.StringVar(&f.cfg.Args, "args", "", "etl_args that must be taken (default: some `TEXT`, which may be refused)")
	fl.BoolVar(&f.fqn, "fqn", false, "also name objects by their file (etl_fqn)")
	fl.StringVar(&f.expect, "expect", "", "results must be those of the sample transform `NAME`")
	fl.StringVar(&f.expectCmd, "expect-cmd", "", "results must be what a shell's `COMMAND` makes of each object")
	fl.StringVar(&f.expectFile, "expect-file", "", "the result of --input must be this `FILE`")
	fl.BoolVar(&f.cfg.Varies, "nondeterministic", false, "the same object may give different results")
	fl.StringVarP(&f.output, "output", "o", "text", "`text|json`")
}

// parse checks the command line and reads the files that it names.
func (f *checkFlags) parse(dash int, args []string) error {
	switch {
	case dash == 0 && len(args) > 0:
		f.argv, f.name = args, strings.Join(args, " ")
	case dash < 0 && len(args) == 1:
		f.name = args[0]
	default:
		return errors.New("name one transformer: a URL, an image, or a command behind --")
	}
	if strings.Contains(f.name, "://") && f.argv == nil {
		u, err := url.Parse(f.name)
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("%q is no URL of a transformer, such as http://127.0.0.1:8000", f.name)
		}
		f.cfg.URL = strings.TrimRight(f.name, "/")
	}
	var err error
	if f.cfg.Target, err = check.NewTarget(f.target); err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	return errors.Join(f.parseFlags(), f.parseTypes(), f.parseExpect())
}

func (f *checkFlags) parseFlags() error {
	large, err := humanize.ParseBytes(f.large)
	const most = 1 << 30
	switch {
	case f.output != "text" && f.output != "json":
		return fmt.Errorf("-o %q: must be text or json", f.output)
	case err != nil || large < 1 || large > most:
		return fmt.Errorf("--large %s: must be a size of 1B to 1GiB, such as 8MiB", f.large)
	case f.cfg.Parallel < 1 || f.cfg.Parallel > maxNodes:
		return fmt.Errorf("--parallel %d: must be 1 to %d", f.cfg.Parallel, maxNodes)
	case f.cfg.Timeout <= 0 || f.cfg.Wait <= 0:
		return fmt.Errorf("--timeout %s, --wait %s: must be above 0", f.cfg.Timeout, f.cfg.Wait)
	case !strings.HasPrefix(f.cfg.Health, "/"):
		return fmt.Errorf("--health %q: must be a path, such as /health", f.cfg.Health)
	case f.cfg.URL != "" && f.images != "":
		return errors.New("--images: a transformer that serves at a URL is not started")
	}
	f.cfg.Large = int(large)
	if f.cfg.Input, err = readFlag("--input", f.input); err != nil {
		return err
	}
	f.cfg.Bad, err = readFlag("--bad", f.bad)
	return err
}

// readFlag reads the file of a flag; nil without one.
func readFlag(flag, file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return append([]byte{}, data...), nil // not nil when the file is empty
}

func (f *checkFlags) parseTypes() error {
	var errs []error
	for _, name := range f.comm {
		typ, err := comm.Lookup(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("--comm: %w", err))
			continue
		}
		if typ.NeedsSocket {
			errs = append(errs, fmt.Errorf("--comm %s: it shares memory over a unix socket, which targets alone offer: a cluster shows whether it works", name))
			continue
		}
		f.perObject = f.perObject || typ.PerObject
		f.cfg.Types = append(f.cfg.Types, typ)
	}
	if f.perObject = f.perObject && f.cfg.URL == ""; f.perObject && len(f.comm) > 1 {
		errs = append(errs, fmt.Errorf("--comm %s: under io:// a command is run once an object, under the others it serves: check them apart",
			strings.Join(f.comm, ",")))
	}
	return errors.Join(errs...)
}

// parseExpect makes the expectation that the flags describe.
func (f *checkFlags) parseExpect() error {
	given := 0
	for _, s := range []string{f.expect, f.expectCmd, f.expectFile} {
		if s != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil
	case given > 1:
		return errors.New("--expect, --expect-cmd and --expect-file: one of them is enough")
	case f.cfg.Varies:
		return errors.New("--nondeterministic: what varies cannot be expected")
	case f.expectCmd != "":
		f.cfg.Expect = comm.Command([]string{"sh", "-c", f.expectCmd}, os.Environ(), io.Discard)
		return nil
	case f.expectFile != "":
		return f.expectOutput()
	}
	var ok bool
	if f.cfg.Expect, ok = transformers.Lookup(f.expect); !ok {
		return fmt.Errorf("--expect: unknown transform %q: have %s", f.expect, strings.Join(transformers.Names(), ", "))
	}
	return nil
}

// expectOutput knows the result of the input file alone, without etl_args.
func (f *checkFlags) expectOutput() error {
	if f.input == "" {
		return errors.New("--expect-file: --input says whose result it is")
	}
	want, err := readFlag("--expect-file", f.expectFile)
	f.cfg.Expect = func(_ context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		data, err := io.ReadAll(src)
		if err == nil && (o.Args != "" || string(data) != string(f.cfg.Input)) {
			err = check.ErrNoExpectation
		}
		if err == nil {
			_, err = dst.Write(want)
		}
		return err
	}
	return err
}

func (f *checkFlags) run(ctx context.Context, e *env) (err error) {
	if err := f.cfg.Target.Listen(); err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	defer func() { err = errors.Join(err, f.cfg.Target.Close()) }()
	dir, err := scratch(e)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if f.fqn {
		f.cfg.FQNDir = filepath.Join(dir, "objects")
		if err := os.Mkdir(f.cfg.FQNDir, 0o755); err != nil {
			return err
		}
	}
	r, log, err := f.report(ctx, e, filepath.Join(dir, "pods"))
	if err != nil {
		return err
	}
	if err := f.print(e, r); err != nil {
		return err
	}
	if n := r.Count(check.Failed); n > 0 {
		if log != "" {
			fmt.Fprintf(e.err, "the transformer has ended, and printed at last:\n%s\n", log)
		}
		return &exitError{exitFailed, fmt.Errorf("%s: checks that failed: %d", f.name, n)}
	}
	return nil
}

// report starts the transformer where that is asked for, and checks it. log is
// the end of what it printed, when it has ended before its time.
func (f *checkFlags) report(ctx context.Context, e *env, dir string) (r *check.Report, log string, err error) {
	if f.cfg.URL != "" {
		if f.cfg.Foreign = f.target == ""; f.cfg.Foreign {
			fmt.Fprintln(e.err, "without --target it is not known which AIS_TARGET_URL it has: it can neither fetch objects nor deliver them")
		}
		r, err = check.Run(ctx, f.cfg)
		return r, "", err
	}
	pods, image, err := f.pods(e, dir)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, pods.Close()) }()
	ready, cancel := context.WithTimeout(ctx, f.cfg.Wait)
	defer cancel()
	p, err := pods.Start(ready, pod.Spec{Name: "etl-check", Image: image, PerObject: f.perObject,
		Env: f.cfg.Target.Env(f.cfg.FQNDir), Probe: pod.Probe{Path: f.cfg.Health, Timeout: pod.DefaultProbeTimeout, Period: time.Second}})
	if errors.Is(err, context.DeadlineExceeded) {
		return check.NotReady(err), "", nil
	}
	if err != nil {
		return nil, "", err
	}
	f.cfg.URL, f.cfg.Gone = p.Info().URL, p.Done()
	if r, err = check.Run(ctx, f.cfg); err != nil {
		return nil, "", err
	}
	select {
	case <-p.Done():
		var words strings.Builder
		err = p.Logs(ctx, &words)
		return r, lastLines(words.String()), err
	default:
		return r, "", nil
	}
}

// maxLog is how many lines of a log are shown.
const maxLog = 20

func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-maxLog):], "\n")
}

// typedImage stands for the command line in the image table. No image has a
// name with a space.
const typedImage = "the command"

// pods is the runtime that starts the transformer, by the name of an image.
func (f *checkFlags) pods(e *env, dir string) (*pod.Process, string, error) {
	table, err := images(e.exe, f.images)
	if err != nil {
		return nil, "", err
	}
	image := f.name
	if f.argv != nil {
		here, err := os.Getwd()
		if err != nil {
			return nil, "", err
		}
		image = typedImage
		table[image] = pod.Image{Entrypoint: f.argv, Dir: here}
	}
	pods, err := pod.NewProcess(pod.ProcessConfig{Dir: dir, Images: table, Shim: shim(e.exe), Node: "localhost",
		Log: slog.New(slog.NewTextHandler(e.err, nil))})
	return pods, image, err
}
