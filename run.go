package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

type runFlags struct {
	sets         []string
	out, cluster string
	output, sync string
	images       string
	runtimes     runtimesFlag
	own          bool // always start a cluster
	fleet        fleetFlags
	share        shareFlag
	noLive       bool
}

func runCmd(e *env) *cobra.Command {
	var f runFlags
	var aisloader bool
	cmd := &cobra.Command{
		Use:   "run FILE|NAME",
		Short: "run a scenario and write a run folder",
		Long: "Runs a scenario file, or a built-in scenario by its name (see: etlbench scenarios ls).\n\n" +
			"The cluster is the one of --cluster, else $AIS_ENDPOINT, else the scenario's target.proxies,\n" +
			"else the one that runs on this machine; without any, one is started for the run.\n\n" +
			"With --aisloader the scenario is made of a command line of AIStore's aisloader, which comes after --. A\n" +
			"line for each of its flags says what became of it; etlbench scenarios import prints the scenario.",
		Example: "  etlbench run inline-by-comm\n  etlbench run my.yaml --set load.workers=16 --out runs/16\n" +
			"  etlbench run my.yaml --cluster http://ais.example:51080\n  etlbench run my.yaml --on kube --agents 4\n" +
			"  etlbench run --aisloader -- -duration=30s -numworkers=16 -maxsize=1M -etl=md5",
		Args: aisloaderArgs(&aisloader, cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			s, err := f.scenario(e, aisloader, args)
			if err != nil {
				return err
			}
			return f.run(cmd.Context(), e, s, nil)
		},
	}
	cmd.Flags().BoolVar(&aisloader, "aisloader", false, aisloaderUsage)
	f.fleet.flags(cmd)
	cmd.Flags().Var(&f.share, "share", shareUsage)
	cmd.MarkFlagsMutuallyExclusive("share", "agents")
	f.named(cmd)
	f.common(cmd)
	return cmd
}

// named adds the flags of verbs that are given a scenario by its name.
func (f *runFlags) named(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "change the scenario: `KEY=VALUE`, such as load.workers=16; may repeat")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "`URL` of a proxy")
	cmd.Flags().Func("pacer", "how an open loop waits, `sleep|spin`: spin takes a CPU of its own (load.pacer)", func(v string) error {
		f.sets = append(f.sets, "load.pacer="+v)
		return nil
	})
}

// scenario is the one that a command line names, or that aisloader's flags make.
func (f *runFlags) scenario(e *env, aisloader bool, args []string) (*scenarios.Scenario, error) {
	if !aisloader {
		return loadScenario(args[0], f.sets)
	}
	s, proxy, err := aisloaderScenario(e, args, f.sets)
	if err != nil {
		return nil, err
	}
	if f.cluster == "" {
		f.cluster = proxy // said on the command line, it goes before the environment
	}
	return s, nil
}

// common adds the flags that run and demo share.
func (f *runFlags) common(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "`FOLDER` to write, new or empty (default: a new one below runs)")
	fl.BoolVar(&f.noLive, "no-live", false, "on a terminal too: a line every 5 s in place of the live view")
	fl.StringVarP(&f.output, "output", "o", "text", "what to print: `text|json|md|csv`")
	fl.StringVar(&f.sync, "sync", "data", "of a cluster that is started for the run: "+syncUsage)
	fl.StringVar(&f.images, "images", "", "of a cluster that is started for the run: "+imagesUsage)
	fl.Var(&f.runtimes, "runtime", "of a cluster that is started for the run: "+runtimeUsage)
}

func (f *runFlags) check() error {
	if !slices.Contains([]string{"text", "json", "md", "csv"}, f.output) {
		return fmt.Errorf("-o %q: must be text, json, md or csv", f.output)
	}
	return nil
}

// loadScenario reads a file, or a built-in scenario when there is no such file.
func loadScenario(name string, sets []string) (*scenarios.Scenario, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if data, err = scenarios.Source(name); err != nil {
			return nil, fmt.Errorf("%q is neither a file nor a built-in scenario: have %s", name, strings.Join(scenarios.Names(), ", "))
		}
	}
	if err != nil {
		return nil, err
	}
	return scenarios.Options{Open: os.ReadFile, Lookup: os.LookupEnv}.Parse(name, data, sets)
}

// run runs a scenario: on the cluster that applies, with its results in a new
// folder. notes go into the report.
func (f *runFlags) run(ctx context.Context, e *env, s *scenarios.Scenario, notes []string) error {
	data, err := dataset.New(s.Dataset, s.Seed, s.Arms.Size...)
	if err != nil {
		return fail(err)
	}
	if err := checkNames(s); err != nil {
		return err
	}
	if err := f.fleet.check(s); err != nil {
		return err
	}
	agents, err := f.fleet.named(e, s)
	if err != nil {
		return err
	}
	ctx, where, done, err := f.place(ctx, e, s)
	if err != nil {
		return err
	}
	defer done()
	etl := armSpec(armETL)
	if where.kind != "external" { // its programs are those of this machine
		less, found, missing, err := offered(ctx, s)
		if err != nil {
			return fail(err)
		}
		s, etl, notes = less, found, append(notes, missing...)
	}
	c := loader.Config{ETL: etl, Scenario: s, Data: data, Notes: notes, Expect: expect, Share: f.share.Share}
	if f.fleet.on != "" {
		var remove func()
		if agents, remove, err = f.fleet.made(ctx, e, s, where.kube); err != nil {
			return err
		}
		defer remove()
	}
	if agents != nil {
		// Closed before the cluster is: agents may still be loading it.
		defer func() {
			if err := agents.Close(); err != nil {
				fmt.Fprintln(e.err, "etlbench: clean up:", err)
			}
		}()
		if f.fleet.on == "" {
			if err := reach(agents, where.urls); err != nil {
				return err
			}
		}
		c.Fleet = agents
	}
	dir, err := f.folder(s.Name)
	if err != nil {
		return fail(err)
	}
	return f.measure(ctx, e, where, dir, c)
}

// place chooses the cluster that applies, or starts one. The context that it
// gives ends with the cluster; done stops what was started.
func (f *runFlags) place(ctx context.Context, e *env, s *scenarios.Scenario) (_ context.Context, where *chosen, done func(), err error) {
	why := ""
	switch {
	case f.fleet.on != "":
		if where, err = chooseKube(ctx, e, f.fleet.on, f.cluster); err != nil {
			return nil, nil, nil, err
		}
	case !f.own:
		why = ": none was named and none runs here"
		if where, err = chooseCluster(ctx, e, f.cluster, s.Target.Proxies); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := checkFaults(s, where); err != nil {
		return nil, nil, nil, err
	}
	if where != nil {
		fmt.Fprintf(e.err, "using the cluster at %s (%s)\n", strings.Join(where.urls, ", "), where.why)
		if err := checkLimits(s.Target, where.limits); err != nil {
			return nil, nil, nil, err
		}
		return ctx, where, func() {}, nil
	}
	up := upFlags{name: "run", listen: "127.0.0.1:0", sync: f.sync, images: f.images, runtimes: f.runtimes, proxies: 1, targets: s.Target.Targets,
		cpu: s.Target.CPU, link: s.Target.Link, faults: ofNetwork(s) >= 0}
	if err := up.check(); err != nil {
		return nil, nil, nil, err
	}
	limits := up.limits()
	fmt.Fprintf(e.err, "starting a cluster of 1 proxy and %d targets for this run%s%s\n", up.targets, heldTo(limits), why)
	spawned, stop, err := up.spawn(ctx, e)
	if err != nil {
		return nil, nil, nil, fail(err)
	}
	where = &chosen{urls: []string{spawned.URL}, kind: "spawned", sync: f.sync, data: up.data, limits: &limits,
		nodes: spawned.Now, kills: &kills{}, control: up.control}
	ctx, lost := context.WithCancelCause(ctx)
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		lookAfter(ctx, spawned, where.kills, lost)
	}()
	return ctx, where, func() {
		lost(nil)
		<-looking // before stop: nothing starts any more
		if err := stop(); err != nil {
			fmt.Fprintln(e.err, "etlbench: clean up:", err)
		}
	}, nil
}

// folder is where the run goes.
func (f *runFlags) folder(name string) (string, error) {
	if f.out != "" {
		return f.out, nil
	}
	if err := os.MkdirAll("runs", 0o755); err != nil {
		return "", err
	}
	return filepath.Join("runs", time.Now().Format("20060102-150405.000")+"-"+name), nil
}

// preciseLooks is after how many blocks in a row a number has to be known well
// enough for trials.stop-at: once may be luck.
const preciseLooks = 3

// measure runs the load, writes the reports and prints the one asked for.
func (f *runFlags) measure(ctx context.Context, e *env, where *chosen, dir string, c loader.Config) error {
	p := newRunProgress(ctx, e, fmt.Sprintf("etlbench run %s   seed %d", c.Scenario.Name, c.Scenario.Seed), !f.noLive)
	c.Progress = p.show
	sum, runErr := f.load(ctx, e, where, dir, c)
	p.end()
	if sum == nil {
		return fail(runErr)
	}
	r, werr := reports.Read(dir, judge.Options{})
	if werr == nil {
		werr = r.Write(c.Scenario.Outputs...)
	}
	if r == nil {
		// What the disk did not take is still here.
		var err error
		r, err = reports.Build(judge.Of(&results.Run{Dir: dir, Summary: *sum}, nil), judge.Options{})
		if err != nil {
			return fail(errors.Join(runErr, werr, err))
		}
	}
	if werr != nil {
		if runErr == nil {
			runErr = werr
		}
		return fail(errors.Join(reports.WriteText(e.out, r), runErr))
	}
	if err := printReport(e.out, r, f.output); err != nil {
		return fail(errors.Join(runErr, err))
	}
	fmt.Fprintf(e.err, "run folder: %s\n", dir)
	return verdict(r, runErr)
}

// load runs the load into the folder dir, which it makes. It fills in what the
// config lacks. Without a summary nothing was measured, and there is no folder:
// one without numbers is of no use.
func (f *runFlags) load(ctx context.Context, e *env, where *chosen, dir string, c loader.Config) (*results.Summary, error) {
	yaml, err := c.Scenario.YAML()
	if err != nil {
		return nil, err
	}
	if c.Check, err = gateCheck(c.Scenario); err != nil {
		return nil, err
	}
	w, err := results.Create(dir, yaml, environment(ctx, e, where.data, f.runtimes.choices))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	c.Proxies, c.Kind, c.Sync, c.Limits, c.Processes = where.urls, where.kind, where.sync, where.limits, where.processes(ctx)
	c.Loopback, c.AskNodes = where.nodes != nil, where.kube != nil && c.Processes == nil
	c.EndpointProcesses = endpointProcesses()
	c.Results, c.Inject = w, (&injector{where, c.Scenario.Seed}).inject
	if c.Calibration == nil && c.Fleet == nil { // agents' machines are others
		if c.Calibration, err = calibrate(ctx, c.Scenario, c.Data); err != nil {
			w.Close()
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if cal := c.Calibration; cal != nil {
			fmt.Fprintf(e.err, "calibration: this generator makes %.0f operations/s at most; its own p99 is %.3g ms\n", cal.OpsPerS, cal.P99Ms)
		}
	}
	c.Precise = func(blocks []float64, within float64) (bool, error) {
		return stats.Precise(blocks, within, preciseLooks, stats.Options{Seed: c.Scenario.Seed})
	}
	sum, err := loader.Run(ctx, c)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if sum == nil || len(sum.Rows) == 0 && ctx.Err() != nil {
		w.Close()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return sum, err
}

// calibrateTime is how long each part of a calibration takes: enough for some
// thousand operations, and little beside a run.
const calibrateTime = time.Second

// calibrate has the generator say what it can do here, with bodies of the
// mean size, or of the smallest class.
func calibrate(ctx context.Context, s *scenarios.Scenario, data dataset.Set) (*results.Calibration, error) {
	bytes, objects := int64(0), data.Objects()
	for _, o := range objects {
		bytes += o.Size
	}
	mean := bytes / int64(max(1, len(objects)))
	if len(s.Arms.Size) > 0 {
		mean = int64(slices.Min(s.Arms.Size))
	}
	return loader.Calibrate(ctx, s, mean, calibrateTime)
}

// verdict is the exit code of a run: 3 of errors, 4 of a run that is not valid
// otherwise, 2 of a gate that does not hold.
func verdict(r *reports.Report, err error) error {
	v := &r.Judgement.Validity
	var aborted *loader.AbortedError
	switch {
	case errors.As(err, &aborted):
		return &exitError{exitAborted, err}
	case r.Run.Summary.Interrupted && (err == nil || errors.Is(err, context.Canceled)):
		return &exitError{exitInterrupted, errors.New("interrupted: what was measured until then is kept")}
	case err != nil:
		return fail(err)
	case v.Verdict == judge.Errors:
		return fail(fmt.Errorf("the run has ERRORS: %s", strings.Join(r.Reasons, "; ")))
	case v.Verdict != judge.Valid:
		return &exitError{exitUnfit, fmt.Errorf("the run is not valid, but %s: %s", v.Verdict, strings.Join(r.Reasons, "; "))}
	}
	var failed []string
	for _, g := range r.Gates {
		if !g.Holds {
			failed = append(failed, fmt.Sprintf("%s: %s; %s", g.Condition, g.Found, g.Text))
		}
	}
	if failed != nil {
		return &exitError{exitFailed, fmt.Errorf("%d of %d gates do not hold: %s", len(failed), len(r.Gates), strings.Join(failed, "; "))}
	}
	return nil
}
