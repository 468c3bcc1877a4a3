package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// sweep is many runs of one arm each, with a folder for each below its own.
type sweep struct {
	f           *runFlags
	e           *env
	dir         string
	data        map[scenarios.Bytes]dataset.Set // by size class
	expected    sync.Map                        // loader.Digest by transform and object: the same in every run
	calibration *results.Calibration            // of the first run
}

func newSweep(f *runFlags, e *env, dir string) *sweep {
	return &sweep{f: f, e: e, dir: dir, data: map[scenarios.Bytes]dataset.Set{}}
}

// expect is the package's, once for each object.
func (s *sweep) expect(transform, name string, src io.Reader) (loader.Digest, error) {
	key := [2]string{transform, name}
	if d, ok := s.expected.Load(key); ok {
		return d.(loader.Digest), nil
	}
	d, err := expect(transform, name, src)
	if err == nil {
		s.expected.Store(key, d)
	}
	return d, err
}

// run runs a scenario of one arm into the folder name, and judges it. Its pods
// are gone when it returns, and with them what they had to do.
func (s *sweep) run(ctx context.Context, where *chosen, one *scenarios.Scenario, name string) (*reports.Report, error) {
	class := scenarios.Bytes(-1)
	if len(one.Arms.Size) > 0 {
		class = one.Arms.Size[0]
	}
	if s.data[class] == nil {
		data, err := dataset.New(one.Dataset, one.Seed, one.Arms.Size...)
		if err != nil {
			return nil, err
		}
		s.data[class] = data
	}
	dir := filepath.Join(s.dir, name)
	sum, err := s.f.load(ctx, s.e, where, dir, loader.Config{ETL: armETL, Scenario: one, Data: s.data[class], Expect: s.expect, Calibration: s.calibration})
	if err != nil {
		return nil, err
	}
	s.calibration = sum.Calibration
	if len(sum.Rows) == 0 {
		for _, a := range sum.Arms {
			if a.NotOffered != "" {
				return nil, fmt.Errorf("%s is not offered by this cluster, and nothing else was measured: %s", a.Name, a.NotOffered)
			}
		}
		return nil, errors.New("nothing was measured")
	}
	return reports.Read(dir, judge.Options{})
}

// removeTime bounds the removal of a bucket.
const removeTime = 30 * time.Second

// keepBucket makes the source bucket, so that the runs that follow find it
// filled by the first one. remove removes it, unless it was there before.
func keepBucket(ctx context.Context, where *chosen, s *scenarios.Scenario) (remove func() error, err error) {
	client := api.NewClient(where.urls[0])
	bucket := api.AIS(strings.TrimPrefix(s.Target.Bucket, api.ProviderAIS+"://"))
	if err := client.CreateBucket(ctx, bucket); err != nil {
		client.Close()
		if errors.Is(err, api.ErrExists) {
			return func() error { return nil }, nil
		}
		return nil, fmt.Errorf("create bucket %s: %w", bucket, err)
	}
	return func() error {
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
		defer cancel()
		return client.DestroyBucket(ctx, bucket)
	}, nil
}

// mainRow is the row of what an arm is about: of a mix, the operation that
// transforms.
func mainRow(rows []results.Row) *results.Row {
	for i := range rows {
		if rows[i].Op == scenarios.OpGetETL {
			return &rows[i]
		}
	}
	return &rows[0]
}

// cpusUsed is how many CPUs all components took on the average; nil when nobody
// could tell.
func cpusUsed(m *results.Measured) *float64 {
	if len(m.Resources) == 0 || m.Seconds <= 0 {
		return nil
	}
	used := 0.0
	for _, r := range m.Resources {
		used += r.CPUSeconds / m.Seconds
	}
	return &used
}
