package loader

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// cleanUpTime bounds what is done to leave nothing behind.
const cleanUpTime = 30 * time.Second

// Keys of log lines.
const (
	logETL = "etl"
	logJob = "job"
	logErr = "err"
)

// run is one run under way.
type run struct {
	Config
	log      *slog.Logger
	id       string // short, in the names of all that the run creates
	client   *api.Client
	cmap     *api.Map
	hosts    []string       // of the proxies, host:port
	targets  []string       // IDs, sorted
	byHost   map[string]int // indices of targets, by host:port
	src      api.Bucket
	scratch  api.Bucket // where PUTs of the mix go; zero without any
	created  []api.Bucket
	objects  []object
	expect   map[string][]expected // by transform, in the order of objects; none: of the objects themselves
	progress *progress
	arms     []*arm
	jobTime  time.Duration // of the last offline arm, to estimate the next
	summary  results.Summary
	errors   []results.ErrorClass
	leftover []error // what could not be removed
}

// Run runs the scenario: it connects, fills the source bucket, computes what
// the transforms should give, takes every arm through its phases, and closes
// the run folder with the summary. What it created in the cluster is removed
// before it returns, also when it fails.
//
// When ctx ends, operations under way are finished, the summary is written
// with Interrupted set, and Run returns it together with the ctx's error. An
// arm that cannot be set up is reported in its row and does not end the run.
// A summary is also returned with any other error that came after the data
// set was in place; a nil one means that nothing was measured.
func Run(ctx context.Context, c Config) (*results.Summary, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := newRun(c)
	defer func() { r.client.Close() }() // connect may have chosen another one
	defer r.progress.stop()
	err := r.prepare(ctx)
	prepared := err == nil
	if prepared {
		err = r.measure(ctx)
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	var summary *results.Summary
	if prepared || ctx.Err() != nil {
		summary = r.finish(err != nil)
		// The numbers first: cleaning up may take long, and be cut short.
		err = errors.Join(err, c.Results.Finish(*summary, r.errors))
	}
	return summary, errors.Join(err, r.cleanUp(ctx))
}

func newRun(c Config) *run {
	r := &run{
		Config:   c,
		log:      c.Log,
		id:       runID(),
		client:   api.NewClient(c.Proxies[0]),
		byHost:   map[string]int{},
		src:      bucketOf(c.Scenario.Target.Bucket),
		expect:   map[string][]expected{},
		arms:     plan(c.Scenario),
		jobTime:  time.Duration(c.Scenario.Phases.Measure),
		progress: startProgress(c.Progress),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for _, p := range c.Proxies {
		host, _ := hostOf(p) // checked
		r.hosts = append(r.hosts, host)
	}
	r.summary.Started = time.Now()
	r.summary.Notes = slices.Clone(c.Notes)
	return r
}

// runID tells the names of this run from those of any other.
func runID() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// bucket is the name of a bucket of this run.
func (r *run) bucket(what string) api.Bucket {
	const longest = 40
	name := r.src.Name
	return api.AIS(fmt.Sprintf("%s-lb-%s-%s", name[:min(len(name), longest)], r.id, what))
}

// createBucket makes a bucket that cleanUp will destroy. It awaits the answer
// even when ctx ends meanwhile: a request that was cut may have been heard.
func (r *run) createBucket(ctx context.Context, b api.Bucket) error {
	ctx, cancel := aside(ctx)
	defer cancel()
	err := r.client.CreateBucket(ctx, b)
	// The names of other buckets nobody else has; but the source bucket is
	// not ours unless the cluster said so: it may hold anything.
	if err == nil || b != r.src {
		r.created = append(r.created, b)
	}
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", b, err)
	}
	return nil
}

// measure takes the arms one after the other. An error ends the run.
func (r *run) measure(ctx context.Context) error {
	for i, a := range r.arms {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.progress.arm(a, i+1, len(r.arms))
		r.progress.enter("init", 0, r.estimate(r.arms[i:]))
		rows, err := r.runArm(ctx, a)
		r.summary.Rows = append(r.summary.Rows, rows...)
		r.errors = append(r.errors, a.errs.of(a)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// estimate is how long arms take.
func (r *run) estimate(arms []*arm) (d time.Duration) {
	for _, a := range arms {
		if a.mode == scenarios.ModeOffline {
			d += r.jobTime
		} else {
			d += time.Duration(r.Scenario.Phases.Warmup + r.Scenario.Phases.Measure)
		}
	}
	return d
}

func (r *run) finish(interrupted bool) *results.Summary {
	sc, s := r.Scenario, &r.summary
	s.Schema, s.Name, s.Seed = results.Schema, sc.Name, sc.Seed
	s.Finished, s.Interrupted = time.Now(), interrupted
	s.Cluster = results.Cluster{URL: r.client.URL(), Kind: r.Kind, Sync: r.Sync, Targets: r.targets}
	if r.cmap != nil {
		s.Cluster.Proxies = len(r.cmap.Proxies)
	}
	s.Load = results.Load{
		Model:   sc.Load.Model,
		Workers: sc.Load.Workers,
		WarmupS: time.Duration(sc.Phases.Warmup).Seconds(),
		ForS:    time.Duration(sc.Phases.Measure).Seconds(),
	}
	s.Dataset = results.Dataset{Source: r.Data.Describe()}
	for _, o := range r.Data.Objects() {
		s.Dataset.Objects++
		s.Dataset.Bytes += o.Size
	}
	return s
}

// aside gives what must be done, or undone, a time of its own: ctx may have
// ended.
func aside(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
}

// note adds a sentence to the summary, once.
func (r *run) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(r.summary.Notes, n) {
		r.summary.Notes = append(r.summary.Notes, n)
	}
}

// cleanUp destroys the buckets of the run. Destinations of offline jobs are kept until here, because deleting
// many files disturbs whatever is measured next.
func (r *run) cleanUp(ctx context.Context) error {
	ctx, cancel := aside(ctx)
	defer cancel()
	r.progress.enter("clean up", 0, 0)
	errs := r.leftover
	for _, b := range slices.Backward(r.created) {
		err := r.client.DestroyBucket(ctx, b)
		if err != nil && !errors.Is(err, api.ErrNotFound) {
			errs = append(errs, fmt.Errorf("destroy bucket %s: %w; try: etlbench bucket rm %s", b, err, b))
		}
	}
	return errors.Join(errs...)
}
