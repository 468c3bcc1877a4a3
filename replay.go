package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

func replayCmd(e *env) *cobra.Command {
	var f runFlags
	var ops int
	cmd := &cobra.Command{
		Use:   "replay RUN",
		Short: "run a run folder's scenario again",
		Long: "Runs the scenario of a run folder, or of a bundle of one (etlbench report --bundle), again: the same objects\n" +
			"and the same stream of operations, byte for byte, on any machine. What differs in the environment is said,\n" +
			"and noted in the report. The new folder can be compared with the first: etlbench compare.\n\n" +
			"A bundle FILE.tar.gz is unpacked into the folder FILE of the working directory. With --print-ops nothing runs.",
		Example: "  etlbench replay runs/20261122-demo --out runs/again\n  etlbench replay runs/20261122-demo --print-ops 1000 | sha256sum",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if ops < 0 {
				return misuse("--print-ops %d: must be 1 or more", ops)
			}
			return f.replay(cmd.Context(), e, args[0], ops, cmd.Flags().Changed("sync"))
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&ops, "print-ops", 0, "print the first `N` measured operations of each inline arm and block, as CSV, and run nothing")
	fl.StringVar(&f.cluster, "cluster", "", "`URL` of a proxy")
	f.fleet.flags(cmd)
	f.common(cmd)
	fl.Lookup("sync").Usage = "of a cluster that is started for the run (default: as it was): " + syncUsage
	return cmd
}

// replay runs what is at path again.
func (f *runFlags) replay(ctx context.Context, e *env, path string, ops int, syncSaid bool) error {
	dir, err := unbundle(e, path)
	if err != nil {
		return fail(err)
	}
	first, err := results.ReadDocuments(dir)
	if err != nil {
		return fail(err)
	}
	s, err := replayed(first)
	if err != nil {
		return fail(err)
	}
	if ops > 0 {
		data, err := dataset.New(s.Dataset, s.Seed, s.Arms.Size...)
		if err != nil {
			return fail(err)
		}
		return fail(loader.WriteStream(e.out, s, data, int64(ops)))
	}
	if sync := first.Summary.Cluster.Sync; sync != "" && !syncSaid {
		f.sync = sync
	}
	if f.fleet.agents == "" {
		f.share.Share = first.Summary.Share
	}
	notes := []string{fmt.Sprintf("This is a replay of %s, a run of %s.", dir, first.Summary.Started.UTC().Format("2006-01-02 15:04:05 MST"))}
	if d := differences(first.Env, environment(ctx, e, "", f.runtimes.choices)); len(d) > 0 {
		notes = append(notes, "Its environment is another one: "+strings.Join(d, "; ")+".")
	}
	for _, n := range notes {
		fmt.Fprintln(e.err, n)
	}
	return f.run(ctx, e, s, notes)
}

const bundleSuffix = ".tar.gz"

// unbundle is the run folder at path, where a bundle is unpacked first.
func unbundle(e *env, path string) (dir string, err error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return path, err
	}
	name, ok := strings.CutSuffix(filepath.Base(path), bundleSuffix)
	if !ok || name == "" {
		return "", fmt.Errorf("%s is neither a run folder nor a bundle, which ends in %s", path, bundleSuffix)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := results.ReadBundle(file, name); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(e.err, "unpacked %s into %s\n", path, name)
	return name, nil
}

// replayed is the scenario of a run. Files that it names are those that came
// with the folder, if they did.
func replayed(r *results.Run) (*scenarios.Scenario, error) {
	s, err := scenarios.Parse(filepath.Join(r.Dir, results.ScenarioFile), r.Scenario)
	if err != nil {
		return nil, err
	}
	for _, f := range scenarioFiles(s) {
		path := filepath.Join(r.Dir, f.name)
		if _, err := os.Stat(path); err == nil {
			*f.path = path
		}
	}
	return s, s.Validate()
}

// scenarioFile is a file that a scenario names.
type scenarioFile struct {
	name string // in a bundle
	path *string
}

func scenarioFiles(s *scenarios.Scenario) (list []scenarioFile) {
	for _, f := range []scenarioFile{{results.TraceFile, &s.Load.Trace}, {results.SizesFile, &s.Dataset.Size.File}} {
		if *f.path != "" {
			list = append(list, f)
		}
	}
	return list
}

// differences say in what two environments differ, "name: before, now".
func differences(before, now results.Env) (list []string) {
	a, b := reflect.ValueOf(before), reflect.ValueOf(now)
	for i := range a.NumField() {
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if name == "data_fs" {
			continue // of a cluster that has not been chosen yet
		}
		x, y := told(a.Field(i)), told(b.Field(i))
		if x != y {
			list = append(list, fmt.Sprintf("%s was %s and is %s", name, x, y))
		}
	}
	return list
}

// told is a value of an environment, as one reads it.
func told(v reflect.Value) string {
	data, err := json.Marshal(v.Interface())
	if text := strings.Trim(string(data), `"`); err == nil && text != "" && text != "null" {
		return text
	}
	return "not known"
}

// bundle writes the run folder dir as one file.
func bundle(dir, path string) (err error) {
	r, err := results.ReadDocuments(dir)
	if err != nil {
		return err
	}
	s, err := replayed(r)
	if err != nil {
		return err
	}
	if s.Dataset.Dir != "" {
		return fmt.Errorf("%s: its objects are those of the folder %s, which does not fit into a bundle", dir, s.Dataset.Dir)
	}
	extra := map[string]string{}
	for _, f := range scenarioFiles(s) {
		info, err := os.Stat(*f.path)
		if err != nil {
			return err
		}
		if info.ModTime().After(r.Summary.Started) {
			return fmt.Errorf("%s was changed after the run, %s ago: a replay would do something else", *f.path, time.Since(info.ModTime()).Round(time.Second))
		}
		extra[f.name] = *f.path
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	return results.WriteBundle(out, dir, extra)
}
