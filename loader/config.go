// Package loader is the load harness: it runs one scenario against a cluster
// and writes what it measured into a run folder.
//
// It reaches the cluster by URL alone, as any client does, and never lives in
// the process of the cluster it measures. It draws no reports: see reports.
// Read run.go for the steps of a run and blocks.go for the order in which arms
// are measured; schedule.go and stream.go for when which operation is due, both
// pure functions; load.go and pool.go for the closed and the open loop, which
// know no HTTP; driver.go for one operation on the wire; recorder.go, tally.go
// and collector.go for how times become histograms; and rows.go for what every
// number of a row means.
package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// ErrNoExpectation is what Config.Expect returns for a transform, or an
// object, whose output nobody can foretell. It is then not verified.
var ErrNoExpectation = errors.New("no expected output")

// Digest identifies a whole output.
type Digest struct {
	Sum  uint64 // XXH64, seed 0
	Size int64  // bytes
}

// Config says what to run, where, and where the numbers go. Scenario, Data,
// Proxies and Results are required.
type Config struct {
	Scenario *scenarios.Scenario // validated, with its defaults
	Data     dataset.Set
	Proxies  []string // base URLs ("http://host:port"); requests go round-robin over them
	Kind     string   // for the report: "spawned", "running" or "external"
	Sync     string   // for the report: the cluster's sync level, "" when not known

	// Limits are for the report: those of each target, nil when not known.
	Limits *results.Limits

	// Share is the part of every inline arm that this run issues; nil is all. The
	// source bucket must be there: it outlives the runs that share it.
	Share *results.Share

	// Fleet issues the operations of inline arms in this process's place; nil:
	// this one does.
	Fleet Fleet

	// Notes go into the summary, in front of what the loader has to say.
	Notes []string

	// Results gets intervals, and at the end the summary, which closes it. A
	// run that fails before it has measured anything leaves it open.
	Results *results.Writer

	// ETL gives the init message for an arm: its transform ("md5",
	// "md5/python") over its communication type ("hpush"), with what Put and
	// Stream say. The loader puts in a name of its own. language is "go" or
	// "python", "" when not known. Required unless the scenario has no arm
	// with a transform.
	ETL func(a scenarios.Arm) (spec *api.ETLSpec, language string, err error)

	// Expect computes what a transform gives for the object name with the
	// content src. It is called by several goroutines at once. nil, or
	// ErrNoExpectation: outputs can't be verified.
	Expect func(transform, name string, src io.Reader) (Digest, error)

	// Processes lists the processes of the cluster that run on this machine,
	// by the components of a results.Resource; those of the pods of an ETL
	// with all their descendants. It is called at the ends of every measured
	// time and every collect.interval of it, as pods come and go, by several
	// goroutines at once. nil: only the loader's own resources are
	// recorded.
	Processes func(etl string) map[string][]int

	// AskNodes has proxies and targets asked what they have used, in place of
	// Processes: they run on other machines.
	AskNodes bool

	// Loopback tells that all that the cluster moves goes over this machine's
	// loopback interface, where it is counted.
	Loopback bool

	// EndpointProcesses is Processes of a server of arms.endpoints, by its URL.
	// nil: they are not known.
	EndpointProcesses func(url string) map[string][]int

	// Inject makes a fault of the scenario happen. Required when the scenario
	// has any.
	Inject func(ctx context.Context, f Fault) (*Injected, error)

	// Precise tells whether one value for each block so far, in their order,
	// says within a share of itself what the metric is. Required with
	// trials.stop-at.
	Precise func(blocks []float64, within float64) (bool, error)

	// Calibration goes into the summary: see Calibrate. nil: it was not tried.
	Calibration *results.Calibration

	// Check looks at gate number i of the scenario. rows are the operations of
	// one arm, on their numbers so far; what was found goes into the reason. A
	// gate that is not about the arm, or on which nothing is known yet, holds.
	// Required with abort-after.
	Check func(i int, rows []results.Row) (holds bool, found string)

	// Progress is called at most four times a second, always by the same
	// goroutine, and last when the run ends. It must not block for long. nil
	// is fine.
	Progress func(Progress)

	Log *slog.Logger // nil: nothing is logged
}

// check reports all that is missing or wrong.
func (c *Config) check() error {
	if c.Scenario == nil || c.Data == nil || c.Results == nil {
		return errors.New("loader: Config needs Scenario, Data and Results")
	}
	var errs []error
	if err := c.Scenario.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(c.Data.Objects()) == 0 {
		errs = append(errs, errors.New("the data set is empty"))
	}
	if len(c.Proxies) == 0 {
		errs = append(errs, errors.New("no proxy to talk to"))
	}
	for _, p := range c.Proxies {
		if _, err := hostOf(p); err != nil {
			errs = append(errs, err)
		}
	}
	if c.ETL == nil && slices.ContainsFunc(c.Scenario.Plan(), func(a scenarios.Arm) bool { return a.ETL() }) {
		errs = append(errs, errors.New("loader: Config.ETL is missing, and the scenario has transforms"))
	}
	if c.Share != nil {
		errs = append(errs, c.checkShare())
	}
	if c.Fleet != nil {
		errs = append(errs, CheckShare(c.Scenario, c.Fleet.Size()))
	}
	if (c.Share != nil || c.Fleet != nil) && len(c.Scenario.Arms.Endpoints) > 0 {
		errs = append(errs, errors.New("arms.endpoints: cannot be shared by several loaders (drop them)"))
	}
	if c.Precise == nil && c.Scenario.Trials.StopAt.Metric != "" {
		errs = append(errs, errors.New("trials.stop-at: nobody here can tell how precise a number is (drop it)"))
	}
	if c.Check == nil && slices.ContainsFunc(c.Scenario.Gates, func(g scenarios.Gate) bool { return g.AbortAfter > 0 }) {
		errs = append(errs, errors.New("gates: nobody here can look at them during the run (drop abort-after)"))
	}
	if c.Inject == nil && len(c.Scenario.Faults) > 0 {
		errs = append(errs, errors.New("faults: nobody here can inject them (drop them)"))
	}
	return errors.Join(errs...)
}

// checkShare refuses what a loader cannot do a part of by itself.
func (c *Config) checkShare() error {
	offline := func(a scenarios.Arm) bool { return a.Mode == scenarios.ModeOffline }
	switch {
	case c.Fleet != nil:
		return errors.New("loader: Config has a Share and a Fleet")
	case c.Share.Number < 1 || c.Share.Number > c.Share.Of:
		return fmt.Errorf("share %s: there is none", c.Share)
	case slices.ContainsFunc(c.Scenario.Plan(), offline):
		return errors.New("arms.mode: a job cannot be shared by several loaders (leave offline out)")
	case c.Scenario.Trials.StopAt.Metric != "":
		return errors.New("trials.stop-at: a loader that issues a share does not know what the others measured (drop it)")
	}
	return CheckShare(c.Scenario, c.Share.Of)
}

// hostOf is the "host:port" of a base URL. The load drivers speak plain HTTP.
func hostOf(base string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf("%q is not a node's URL: write it like http://127.0.0.1:8080", base)
	case u.Scheme != "http":
		return "", fmt.Errorf("%q: load is issued over plain http only", base)
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "80"), nil
	}
	return u.Host, nil
}

// bucketOf is the bucket of a URI that has been validated.
func bucketOf(uri string) api.Bucket {
	return api.AIS(strings.TrimPrefix(uri, api.ProviderAIS+"://"))
}
