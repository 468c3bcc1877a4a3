package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

type scaleFlags struct {
	runFlags
	over    string
	repeats int
	up      upFlags // of the clusters of --over targets
}

func scaleCmd(e *env) *cobra.Command {
	var f scaleFlags
	cmd := &cobra.Command{
		Use:   "scale FILE|NAME --over targets=1..N",
		Short: "measure how throughput grows with targets, workers or the offered rate, or costs with what is kept",
		Long: "Runs a scenario at each of some levels, in random order, and that --repeats times:\n\n" +
			"  targets=1..6     a cluster of its own for each step, with the same objects. With target.cpu or target.link a\n" +
			"                   control without these limits is run, too. load.workers is the same at every step, with\n" +
			"                   load.workers-per-target it grows with the targets. With --on kind a Kubernetes is made for\n" +
			"                   all steps, and removed; with --on kube they are in a namespace of their own. A cluster of up\n" +
			"                   is never changed.\n" +
			"  workers=1,2,4,8  as arms.workers of a single run, and repeats as its blocks\n" +
			"  rate=50/s,100/s  as load.rate of an open loop, on one cluster\n" +
			"  objects=1k,100k  as dataset.objects, each in a bucket of its own, and\n" +
			"  connections=1,16 as load.workers, on one cluster: does an operation cost as much CPU time at each step?\n\n" +
			"But for workers, the folder has a run folder for each run, sweep.json, and the reports of all:\n" +
			"etlbench report FOLDER makes them again. Exit codes are those of run; over rates, of which the highest are\n" +
			"to be too much, one that is kept up is enough.",
		Example: "  etlbench scale scale-targets --over targets=1..6\n" +
			"  etlbench scale scale-targets --over targets=1..3 --on kind\n" +
			"  etlbench scale my.yaml --over workers=1,2,4,8,16,32\n" +
			"  etlbench scale saturation --over rate=200/s,400/s,800/s\n" +
			"  etlbench scale growth --over objects=1k,10k,100k",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.up.checkWhere(cmd); err != nil {
				return err
			}
			return f.scale(cmd.Context(), e, args[0])
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.over, "over", "", "`LEVELS`: targets=, workers=, rate=, objects= or connections=, and a list (1,2,4) or, of numbers, a range (1..8)")
	_ = cmd.MarkFlagRequired("over")
	fl.IntVar(&f.repeats, "repeats", 3, "measure each level `N` times; intervals want 3")
	f.named(cmd)
	f.common(cmd)
	fl.StringVar(&f.up.name, "name", "scale", "on Kubernetes: `NAME` of the clusters, by which etlbench down removes what a killed command leaves")
	f.up.addWhere(e, cmd, defaultNamespace+"-scale")
	return cmd
}

// maxLevels bounds what a range may mean.
const maxLevels = 256

// levels reads --over.
func (f *scaleFlags) levels() (over string, levels []string, err error) {
	over, list, ok := strings.Cut(f.over, "=")
	if !ok || !slices.Contains([]string{"workers", reports.OverTargets, reports.OverRate, reports.OverObjects, reports.OverConnections}, over) {
		return "", nil, misuse("--over %q: must be targets=, workers=, rate=, objects= or connections=, and levels such as 1..8 or 1,2,4", f.over)
	}
	for _, item := range strings.Split(list, ",") {
		first, last, isRange := strings.Cut(item, "..")
		if !isRange || over == "rate" {
			levels = append(levels, strings.TrimSpace(item))
			continue
		}
		low, err1 := strconv.Atoi(strings.TrimSpace(first))
		high, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || low < 1 || high < low || high-low >= maxLevels {
			return "", nil, misuse("--over %q: %q is not a range such as 1..8", f.over, item)
		}
		for n := low; n <= high; n++ {
			levels = append(levels, strconv.Itoa(n))
		}
	}
	for i, l := range levels {
		if slices.Index(levels, l) < i {
			return "", nil, misuse("--over %q: %s is given twice", f.over, l)
		}
	}
	return over, levels, nil
}

func (f *scaleFlags) scale(ctx context.Context, e *env, name string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.repeats < 1 || f.repeats > 1000 {
		return misuse("--repeats %d: must be 1 to 1000", f.repeats)
	}
	if list, err := os.ReadDir(f.out); f.out != "" && err == nil && len(list) > 0 {
		return misuse("--out %s: the folder is not empty", f.out)
	}
	over, levels, err := f.levels()
	if err != nil {
		return err
	}
	if f.up.on != onLocal && over != reports.OverTargets {
		return misuse("--on %s: goes with --over targets; over %s a scenario is run on the cluster that up --on %s has started", f.up.on, over, f.up.on)
	}
	if over == "workers" {
		s, err := checkedScenario(name, append(slices.Clone(f.sets), "arms.workers=["+strings.Join(levels, ",")+"]", fmt.Sprintf("trials.blocks=%d", f.repeats)))
		if err != nil {
			return err
		}
		return f.run(ctx, e, s, nil)
	}
	steps, err := f.steps(name, over, levels)
	if err != nil {
		return err
	}
	dir, err := f.folder(steps[0].scenario.Name + "-scale")
	if err != nil {
		return fail(err)
	}
	sc := &scaling{scaleFlags: f, e: e, dir: dir, steps: steps, runs: newSweep(&f.runFlags, e, dir), calibrations: map[int]*results.Calibration{}, placed: f.place}
	sc.plan = reports.SweepPlan{Name: steps[0].scenario.Name, Seed: steps[0].scenario.Seed, Over: over, Repeats: f.repeats,
		PerTarget: steps[0].scenario.Load.WorkersPerTarget > 0, Command: f.command(name)}
	for _, step := range steps {
		sc.plan.Steps = append(sc.plan.Steps, step.SweepStep)
	}
	return sc.report(sc.all(ctx))
}

// command is the command line that does the same again.
func (f *scaleFlags) command(name string) string {
	words := []string{"etlbench", "scale", name, "--over", f.over, "--repeats", strconv.Itoa(f.repeats)}
	if f.up.on != onLocal {
		words = append(words, "--on", f.up.on)
	}
	if f.up.on == onKube {
		words = append(words, "--image", f.up.image, "--namespace", f.up.namespace)
	}
	for _, s := range f.sets {
		words = append(words, "--set", s)
	}
	return reports.Quoted(words...)
}

// step is a level with its scenario.
type step struct {
	reports.SweepStep
	scenario *scenarios.Scenario
	name     string // of folders
}

// steps checks the scenarios of all levels before anything is run. Targets are
// in order, and the control comes last.
func (f *scaleFlags) steps(name, over string, levels []string) (steps []step, err error) {
	for _, level := range levels {
		s, n, err := f.level(name, over, level)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{reports.SweepStep{N: n, Workers: s.Load.Workers}, s, over + "-" + strings.ReplaceAll(level, "/", "-per-")})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.N*1000 - b.N*1000) })
	first := steps[0].scenario
	switch {
	case f.up.on != onLocal && (first.Target.Link > 0 || len(first.Faults) > 0):
		return nil, misuse("--on %s: target.link and faults need clusters of processes of this machine", f.up.on)
	case over == reports.OverTargets && (f.cluster != "" || len(first.Target.Proxies) > 0):
		return nil, misuse("--over targets starts a cluster for each step: drop --cluster, and the scenario's target.proxies")
	case over == reports.OverTargets && first.Target.CPU+scenarios.Percent(first.Target.Link) > 0:
		most := steps[len(steps)-1]
		s := *most.scenario
		s.Target.CPU, s.Target.Link = 0, 0
		steps = append(steps, step{reports.SweepStep{N: most.N, Control: true, Workers: most.Workers}, &s, most.name + "-control"})
	}
	return steps, nil
}

// level is the scenario at a level, and the level as a number.
func (f *scaleFlags) level(name, over, level string) (*scenarios.Scenario, float64, error) {
	key := map[string]string{reports.OverTargets: "target.targets", reports.OverRate: "load.rate", reports.OverObjects: "dataset.objects",
		reports.OverConnections: "load.workers"}[over]
	s, err := checkedScenario(name, append(slices.Clone(f.sets), key+"="+level))
	if err != nil {
		return nil, 0, err
	}
	n := map[string]float64{reports.OverTargets: float64(s.Target.Targets), reports.OverRate: float64(s.Load.Rate),
		reports.OverObjects: float64(s.Dataset.Objects), reports.OverConnections: float64(s.Load.Workers)}[over]
	return s, n, nil
}

// scaling is a sweep that is being made.
type scaling struct {
	*scaleFlags
	e            *env
	dir          string
	steps        []step
	plan         reports.SweepPlan
	runs         *sweep
	calibrations map[int]*results.Calibration // by workers
	// placed starts the cluster of a run; done stops it.
	placed func(context.Context, *env, *scenarios.Scenario) (_ context.Context, where *chosen, done func(), err error)
}

// all makes all runs: every step once, in random order, and so on.
func (sc *scaling) all(ctx context.Context) (err error) {
	if err := os.MkdirAll(sc.dir, 0o755); err != nil {
		return err
	}
	var where *chosen
	if sc.plan.Over != reports.OverTargets {
		var done func()
		if ctx, where, done, err = sc.place(ctx, sc.e, sc.steps[0].scenario); err != nil {
			return err
		}
		defer done()
	}
	if sc.plan.Over == reports.OverRate || sc.plan.Over == reports.OverConnections {
		remove, err := keepBucket(ctx, where, sc.steps[0].scenario)
		if err != nil {
			return err
		}
		defer func() {
			if err := remove(); err != nil {
				fmt.Fprintln(sc.e.err, "etlbench: clean up:", err)
			}
		}()
	}
	sc.own = sc.plan.Over == reports.OverTargets
	if sc.up.on != onLocal {
		ground, remove, err := sc.ground(ctx, sc.e, sc.steps)
		if err != nil {
			return fail(err)
		}
		defer remove()
		sc.placed = ground.place
	}
	for repeat := range sc.repeats {
		random := rand.New(rand.NewPCG(sc.plan.Seed, uint64(repeat)))
		for _, i := range random.Perm(len(sc.steps)) {
			if err := sc.one(ctx, where, i, repeat+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// one makes a run, on a cluster of its own unless there is one.
func (sc *scaling) one(ctx context.Context, where *chosen, at, repeat int) (err error) {
	st := sc.steps[at]
	run := reports.SweepRun{Folder: fmt.Sprintf("%s-%d", st.name, repeat), Step: at, Repeat: repeat}
	fmt.Fprintf(sc.e.err, "run %d of %d: %s, repeat %d\n", len(sc.plan.Runs)+1, len(sc.steps)*sc.repeats, st.name, repeat)
	if where == nil {
		var done func()
		if ctx, where, done, err = sc.placed(ctx, sc.e, st.scenario); err != nil {
			return err
		}
		defer done()
	}
	sc.runs.calibration = sc.calibrations[st.Workers]
	start := time.Now()
	r, err := sc.runs.run(ctx, where, st.scenario, run.Folder)
	if err == nil {
		err = r.Write(st.scenario.Outputs...)
	}
	switch {
	case ctx.Err() != nil:
		run.Failed = "interrupted"
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			run.Failed = cause.Error() // a node has died
		}
	case err != nil:
		run.Failed = err.Error()
	default:
		sc.calibrations[st.Workers] = sc.runs.calibration
		row := mainRow(r.Run.Summary.Rows)
		fmt.Fprintf(sc.e.err, "%s: %.1f operations/s, %.1f MiB/s, %s (%s)\n", run.Folder, row.OpsPerS, row.MiBPerS, r.Judgement.Validity.Verdict,
			time.Since(start).Round(time.Second))
	}
	sc.plan.Runs = append(sc.plan.Runs, run)
	return errors.Join(err, sc.plan.Save(sc.dir))
}

// report writes and prints what was measured, also when not all was.
func (sc *scaling) report(runErr error) error {
	sc.plan.Interrupted = errors.Is(runErr, context.Canceled)
	if !slices.ContainsFunc(sc.plan.Runs, func(r reports.SweepRun) bool { return r.Failed == "" }) {
		if runErr == nil {
			runErr = errors.New("nothing was measured")
		}
		if sc.plan.Runs == nil {
			return fail(errors.Join(runErr, os.Remove(sc.dir)))
		}
		return fail(runErr)
	}
	s, err := sc.written()
	if err != nil {
		return fail(errors.Join(runErr, err))
	}
	if err := s.Print(sc.e.out, sc.output); err != nil {
		return fail(errors.Join(runErr, err))
	}
	fmt.Fprintf(sc.e.err, "folder of the sweep: %s\n", filepath.Clean(sc.dir))
	switch {
	case sc.plan.Interrupted:
		return &exitError{exitInterrupted, errors.New("interrupted: what was measured until then is kept")}
	case runErr != nil:
		return fail(runErr)
	case s.Verdict == judge.Errors:
		return fail(fmt.Errorf("the sweep has ERRORS: %s", strings.Join(s.Reasons, "; ")))
	case s.Verdict != judge.Valid:
		return &exitError{exitUnfit, fmt.Errorf("the sweep is not valid, but %s: %s", s.Verdict, strings.Join(s.Reasons, "; "))}
	case s.Failed != nil:
		return &exitError{exitFailed, fmt.Errorf("%d gates do not hold: %s", len(s.Failed), strings.Join(s.Failed, "; "))}
	}
	return nil
}

func (sc *scaling) written() (*reports.Sweep, error) {
	if err := sc.plan.Save(sc.dir); err != nil {
		return nil, err
	}
	s, err := reports.ReadSweep(sc.dir)
	if err != nil {
		return nil, err
	}
	return s, s.Write()
}
