package loader

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
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
	share    share
	client   *api.Client
	cmap     *api.Map
	hosts    []string       // of the proxies, host:port
	targets  []string       // IDs, sorted
	byHost   map[string]int // indices of targets, by host:port
	direct   []string       // host:port of the targets
	beside   []*api.Client  // of endpoints where the run made the bucket
	src      api.Bucket
	scratch  api.Bucket // where PUTs of the mix go; zero without any
	created  []api.Bucket
	objects  []object
	expect   map[string][]expected // by transform, in the order of objects; none: of the objects themselves
	progress *progress
	arms     []*arm
	steps    []step
	etls     map[etlKey]*deployment
	deployed int                          // how many ETLs were made so far
	classes  map[scenarios.Bytes][]object // of arms.size
	cgroup   *cgroup                      // of this process; nil when nothing tells
	nodeUse  *nodeUse                     // of AskNodes; else nil

	connections atomic.Int64  // of all drivers
	inlineTime  time.Duration // of an inline arm in a block
	jobTime     time.Duration // of the last offline one, to estimate the next
	load        results.Load  // as the summary tells it
	summary     results.Summary
	errors      []results.ErrorClass
	leftover    []error // what could not be removed
}

// Run runs the scenario: it connects, fills the source bucket, computes what
// the transforms should give, measures every arm in every block, and closes
// the run folder with the summary. What it created in the cluster is removed
// before it returns, also when it fails.
//
// When ctx ends, operations under way are finished, the summary is written
// with Interrupted set, and Run returns it together with the ctx's error. An
// arm that cannot be set up is reported in its row and does not end the run. A
// gate that does ends it likewise, with an [*AbortedError].
// A summary is also returned with any other error that came after the data
// set was in place; a nil one means that nothing was measured.
func Run(ctx context.Context, c Config) (*results.Summary, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r, err := newRun(c)
	if err != nil {
		return nil, err
	}
	defer func() { r.client.Close() }() // connect may have chosen another one
	defer r.progress.stop()
	err = r.prepare(ctx)
	if err == nil && c.Fleet != nil {
		err = r.prepareFleet(ctx)
	}
	prepared := err == nil
	if prepared {
		if c.AskNodes {
			r.nodeUse = newNodeUse(r.cmap, c.Scenario.Collect.Cgroups, r.log.Warn)
			defer r.nodeUse.close()
		}
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

func newRun(c Config) (*run, error) {
	r := &run{
		Config:   c,
		log:      c.Log,
		id:       runID(),
		share:    shareOf(c.Share),
		client:   api.NewClient(c.Proxies[0]),
		byHost:   map[string]int{},
		src:      bucketOf(c.Scenario.Target.Bucket),
		expect:   map[string][]expected{},
		arms:     arms(c.Scenario),
		etls:     map[etlKey]*deployment{},
		classes:  map[scenarios.Bytes][]object{},
		progress: startProgress(c.Progress),
	}
	r.summary.Notes = slices.Clone(c.Notes)
	r.steps = steps(r.arms, c.Scenario.Trials, c.Scenario.Seed)
	if g, ok := findCgroup(os.DirFS("/")); ok {
		r.cgroup = &g
	}
	if err := r.describeLoad(); err != nil {
		r.progress.stop()
		return nil, err
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for _, p := range c.Proxies {
		host, _ := hostOf(p) // checked
		r.hosts = append(r.hosts, host)
	}
	r.summary.Started = time.Now()
	return r, nil
}

// describeLoad is how requests are issued, for the summary. It also learns how
// long an inline arm takes.
func (r *run) describeLoad() error {
	sc := r.Scenario
	phases, err := phasesOf(sc, 0)
	if err != nil {
		return err
	}
	measure := &phases[len(phases)-1]
	r.load = results.Load{
		Model: sc.Load.Model, Arrival: sc.Load.Arrival, InFlight: sc.Load.InFlight, Pacer: sc.Load.Pacer, Workers: sc.Load.Workers,
		TimeoutS: time.Duration(sc.Load.Timeout).Seconds(), WarmupS: sc.Phases.WarmupTime().Seconds(), ForS: measure.length.Seconds(),
		Epochs: sc.Load.Epochs, ThinkS: time.Duration(sc.Load.Think).Seconds(), Keys: sc.Load.Keys.Dist, Mix: sc.Load.Mix,
	}
	r.load.AutoWarmup = sc.Phases.Warmup == scenarios.WarmupAuto
	if measure.due != nil {
		r.load.Rate = ratio(float64(measure.due.count()), measure.length.Seconds())
	}
	for _, f := range sc.Faults {
		if at := time.Duration(f.At); measure.length > 0 && at >= measure.length {
			r.note("The fault at %s (%s) never happens in an inline arm: its measured time ends before.", at, describe(f))
		}
	}
	r.inlineTime, r.jobTime = sc.Phases.WarmupTime()+measure.length, measure.length
	return nil
}

// event tells the run folder what happens. One that cannot be written is found
// when the next interval cannot.
func (r *run) event(kind string, a *arm, block int, text string) {
	_ = r.Results.Event(results.Event{At: time.Now(), Kind: kind, Arm: a.Name, Block: block, Text: text})
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

func (r *run) finish(interrupted bool) *results.Summary {
	sc, s := r.Scenario, &r.summary
	s.Schema, s.Name, s.Seed = results.Schema, sc.Name, sc.Seed
	s.Finished, s.Interrupted = time.Now(), interrupted
	s.Cluster = results.Cluster{URL: r.client.URL(), Kind: r.Kind, Sync: r.Sync, Limits: r.Limits, Targets: r.targets}
	if r.cmap != nil {
		s.Cluster.Proxies = len(r.cmap.Proxies)
	}
	s.Load, s.Share, s.Calibration = r.load, r.Share, r.Calibration
	if r.Fleet != nil {
		r.describeFleet(s)
	}
	s.Trials.Planned, s.Trials.Complete = sc.Trials.Blocks, r.complete()
	s.Trials.Order, s.Trials.RedeployEvery = sc.Trials.Order, sc.Trials.RedeployEvery
	for _, a := range r.arms {
		s.Arms = append(s.Arms, a.told())
	}
	for _, g := range sc.Gates {
		s.Gates = append(s.Gates, results.Gate{On: g.On, Is: g.Is})
	}
	s.Rows = r.rows()
	s.Dataset.Source = r.Data.Describe()
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

// cleanUp removes the ETLs and destroys the buckets of the run. Of a single
// block, destinations of jobs are kept until here, because deleting many files
// disturbs whatever is measured next.
func (r *run) cleanUp(ctx context.Context) error {
	ctx, cancel := aside(ctx)
	defer cancel()
	for _, d := range r.etls {
		r.undeploy(ctx, d)
	}
	r.progress.enter("clean up", 0, 0)
	r.dropEndpoints(ctx)
	for _, b := range slices.Clone(r.created) {
		r.dropBucket(ctx, b)
	}
	return errors.Join(r.leftover...)
}

// dropBucket destroys a bucket, also when ctx has ended.
func (r *run) dropBucket(ctx context.Context, b api.Bucket) {
	ctx, cancel := aside(ctx)
	defer cancel()
	err := r.client.DestroyBucket(ctx, b)
	if err != nil && !errors.Is(err, api.ErrNotFound) {
		r.leftover = append(r.leftover, fmt.Errorf("destroy bucket %s: %w; try: etlbench bucket rm %s", b, err, b))
	}
	r.created = slices.DeleteFunc(r.created, func(c api.Bucket) bool { return c == b })
}
