package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cespare/xxhash/v2"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// patience is the least timeout of requests that nobody measures.
const patience = time.Minute

// object is one source object in the cluster.
type object struct {
	name   string
	path   string // of its URL
	size   int64
	owner  int // index of the target that holds it
	number int // index into all objects
}

// expected is what an operation on an object should give; known false: nobody
// can tell.
type expected struct {
	Digest
	known bool
}

// prepare connects, puts the data set in place and computes what to expect.
func (r *run) prepare(ctx context.Context) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	filled, err := r.sourceBucket(ctx)
	if err != nil {
		return err
	}
	if !filled {
		if err := r.fill(ctx); err != nil {
			return err
		}
	}
	mix := r.Scenario.Load.Mix
	if mix[scenarios.OpPut] > 0 && slices.Contains(r.Scenario.Arms.Mode, scenarios.ModeInline) {
		// Not into the source bucket: offline jobs would transform them.
		r.scratch = r.bucket("put")
		if err := r.createBucket(ctx, r.scratch); err != nil {
			return err
		}
	}
	if err := r.fillEndpoints(ctx); err != nil {
		return err
	}
	return r.expectations(ctx, mix[scenarios.OpGet] > 0 || len(r.Scenario.Arms.Endpoints) > 0)
}

// connect reads the cluster map from the first proxy that answers.
func (r *run) connect(ctx context.Context) error {
	r.progress.enter("connect", 0, r.estimate(r.steps))
	var errs []error
	for _, p := range r.Proxies {
		r.client.Close()
		r.client = api.NewClient(p)
		m, err := r.client.Map(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("cluster map from %s: %w; try: etlbench status", p, err))
			continue
		}
		return r.useMap(m)
	}
	return errors.Join(errs...)
}

func (r *run) useMap(m *api.Map) error {
	r.cmap = m
	for id, t := range m.Targets {
		if t.Active() {
			r.targets = append(r.targets, id)
		}
	}
	slices.Sort(r.targets)
	for i, id := range r.targets {
		host, err := hostOf(m.Targets[id].PubNet.URL)
		if err != nil {
			return fmt.Errorf("target %s: %w", id, err)
		}
		r.byHost[host] = i
		r.direct = append(r.direct, host)
	}
	for _, o := range r.Data.Objects() {
		owner, err := r.owner(r.src, o.Name)
		if err != nil {
			return err
		}
		r.objects = append(r.objects, object{o.Name, api.ObjectPath(r.src, o.Name), o.Size, owner, len(r.objects)})
	}
	return r.classify()
}

// classify finds the objects of each size class.
func (r *run) classify() error {
	for _, c := range r.Scenario.Arms.Size {
		for _, o := range r.objects {
			if strings.HasPrefix(o.name, dataset.ClassPrefix(c)) {
				r.classes[c] = append(r.classes[c], o)
			}
		}
		if len(r.classes[c]) == 0 {
			return fmt.Errorf("the data set has no objects of size class %s", c)
		}
	}
	return nil
}

// owner is the target that an object is placed on.
func (r *run) owner(b api.Bucket, name string) (int, error) {
	t, err := r.cmap.Owner(b, name)
	if err != nil {
		return 0, err
	}
	i, _ := slices.BinarySearch(r.targets, t.ID)
	return i, nil
}

// sourceBucket creates the bucket, or finds it empty or with the data set in
// it. A bucket that was there is left there, filled: the next run finds it. One
// that is shared with other runs must be there, and may be filled by several.
func (r *run) sourceBucket(ctx context.Context) (filled bool, err error) {
	if r.Share == nil {
		if err = r.createBucket(ctx, r.src); !errors.Is(err, api.ErrExists) {
			return false, err
		}
	}
	sizes := map[string]int64{}
	err = r.client.ListAll(ctx, r.src, func(e *api.ListEntry) error {
		sizes[e.Name] = e.Size
		return nil
	})
	switch {
	case r.Share != nil && errors.Is(err, api.ErrNotFound):
		return false, fmt.Errorf("bucket %s is not there, and runs that share it must not remove it: try: etlbench bucket create %s", r.src, r.src)
	case err != nil:
		return false, fmt.Errorf("list bucket %s: %w", r.src, err)
	case len(sizes) == 0:
		return false, nil
	}
	there, missing := len(sizes), ""
	for _, o := range r.objects {
		size, ok := sizes[o.name]
		if ok && size == o.size {
			delete(sizes, o.name)
			continue
		}
		missing = o.name
		if ok || r.Share == nil {
			return false, r.foreign("has no %s of %d bytes", o.name, o.size)
		}
	}
	if len(sizes) > 0 {
		// Offline jobs transform all that is in the bucket.
		return false, r.foreign("holds %d objects, the data set %d", there, len(r.objects))
	}
	if missing != "" {
		return false, nil // another run is filling it
	}
	r.note("Bucket %s was there with objects of the same names and sizes; it was not filled anew.", r.src)
	return true, nil
}

func (r *run) foreign(format string, args ...any) error {
	return fmt.Errorf("bucket %s exists and is not this data set: it %s; choose another target.bucket, or try: etlbench bucket rm %s",
		r.src, fmt.Sprintf(format, args...), r.src)
}

// fill stores the data set. Every object's checksum in the cluster is compared
// with ours.
func (r *run) fill(ctx context.Context) error {
	r.progress.enter("fill", 0, r.estimate(r.steps))
	sums := make([]expected, len(r.objects))
	var unchecked atomic.Bool
	err := r.each(ctx, len(r.objects), 4*runtime.GOMAXPROCS(0), func(d *driver, i int) error {
		o := &r.objects[i]
		body, err := r.Data.Open(o.name)
		if err != nil {
			return err
		}
		defer body.Close()
		rep := d.put([]byte(o.path+query("")), body, o.size, o.owner)
		if rep.err != nil {
			return fmt.Errorf("put %s/%s on t[%s]: %w", r.src, o.name, r.targets[rep.target], rep.err)
		}
		if !rep.checked {
			unchecked.Store(true)
		}
		sums[i] = expected{rep.got, true}
		r.progress.ops.Add(1)
		r.progress.bytes.Add(o.size)
		return nil
	})
	if unchecked.Load() {
		r.note("The cluster told no XXH64 checksums: stored objects were not compared with what was sent.")
	}
	r.expect[none] = sums
	if err == nil {
		r.fingerprint(sums)
	}
	return err
}

// fingerprint tells the names and contents of the data set from any other's.
func (r *run) fingerprint(contents []expected) {
	h := xxhash.New()
	for i, o := range r.objects {
		fmt.Fprintf(h, "%q %d %016x\n", o.name, o.size, contents[i].Sum)
	}
	r.summary.Dataset.Digest = fmt.Sprintf("xxh64:%016x", h.Sum64())
}

// each calls fn for 0 … n-1 from several goroutines, each with a driver of
// its own, until the first error or the end of ctx.
func (r *run) each(ctx context.Context, n, workers int, fn func(d *driver, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for w := range min(n, workers) {
		g.Go(func() error {
			d := r.driver(w, max(patience, time.Duration(r.Scenario.Load.Timeout)))
			defer d.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := fn(d, i); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func (r *run) driver(worker int, timeout time.Duration) *driver {
	return newDriver(r.hosts, r.byHost, timeout, worker, &r.connections)
}

// query selects an object's bucket provider and, unless etl is "", an ETL.
func query(etl string) string {
	q := "?" + api.QparamProvider + "=" + api.ProviderAIS
	if etl != "" {
		q += "&" + api.QparamETLName + "=" + etl
	}
	return q
}

// expectations computes what every transform should give for every object,
// once. plain asks for the objects' own digests as well, which fill has
// already left.
func (r *run) expectations(ctx context.Context, plain bool) error {
	switch how := r.Scenario.Verify.Content; how {
	case scenarios.SampleOff:
		clear(r.expect)
		r.note("Outputs were not compared with what they should be (verify.content is off).")
		return nil
	case scenarios.SampleSize:
		r.note("Only the sizes of outputs were compared with what they should be (verify.content is size).")
	case scenarios.SampleAll:
	default:
		r.note("Of some outputs only the size was compared with what it should be (verify.content is %s).", how)
	}
	if plain && r.expect[none] == nil {
		sum := func(_, _ string, src io.Reader) (Digest, error) { return digest(src) }
		if err := r.expectation(ctx, none, sum); err != nil {
			return err
		}
		r.fingerprint(r.expect[none])
	}
	for _, a := range r.arms {
		if r.expect[a.Transform] != nil || a.Transform == none {
			continue
		}
		if r.Expect == nil {
			r.note("What %s should give is not known: its outputs were not compared.", a.Transform)
			continue
		}
		if err := r.expectation(ctx, a.Transform, r.Expect); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) expectation(ctx context.Context, transform string, expect func(transform, name string, src io.Reader) (Digest, error)) error {
	r.progress.enter("computing what "+transform+" should give", 0, r.progress.left())
	var (
		list    = make([]expected, len(r.objects))
		unknown atomic.Int64
		once    sync.Once
		why     error // of the first that is unknown
	)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, o := range r.objects {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			src, err := r.Data.Open(o.name)
			if err != nil {
				return err
			}
			defer src.Close()
			d, err := expect(transform, o.name, src)
			if err != nil {
				unknown.Add(1)
				once.Do(func() { why = err })
			}
			list[i] = expected{d, err == nil}
			r.progress.ops.Add(1)
			r.progress.bytes.Add(o.size)
			return nil
		})
	}
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	r.expect[transform] = list
	if n := unknown.Load(); n > 0 {
		r.note("What %s should give is not known for %d of %d objects (%s): their outputs were not compared.",
			transform, n, len(list), strings.TrimSpace(why.Error()))
	}
	return nil
}

// digest hashes all of src.
func digest(src io.Reader) (Digest, error) {
	h := xxhash.New()
	n, err := io.Copy(h, src)
	return Digest{h.Sum64(), n}, err
}
