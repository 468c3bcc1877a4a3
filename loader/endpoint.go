package loader

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/scenarios"
)

// beside tells whether the arm asks a server that is not of the cluster.
func (a *arm) beside() bool { return a.Endpoint != "" && a.Endpoint != scenarios.EndpointCluster }

// asked is the scenario whose mix the arm's requests are of: an endpoint's are
// plain GETs, of the same objects in the same order as those of other arms.
func (r *run) asked(a *arm) *scenarios.Scenario {
	if a.Endpoint == "" {
		return r.Scenario
	}
	plain := *r.Scenario
	plain.Load.Mix = map[string]int{scenarios.OpGet: 1}
	return &plain
}

// armDriver is the driver of one of an inline arm's workers.
func (r *run) armDriver(a *arm, worker int) *driver {
	timeout := time.Duration(r.Scenario.Load.Timeout)
	if a.beside() {
		host, _ := hostOf(a.Endpoint) // checked when it was filled
		return newDriver([]string{host}, nil, timeout, 0, &r.connections)
	}
	d := r.driver(worker, timeout)
	if r.Scenario.Load.Direct {
		d.direct = r.direct
	}
	return d
}

// fillEndpoints stores the data set at every endpoint, in a bucket that was not
// there.
func (r *run) fillEndpoints(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.Scenario.Arms.Endpoints)) {
		url := r.Scenario.Arms.Endpoints[name]
		if url == scenarios.EndpointCluster {
			continue
		}
		if _, err := hostOf(url); err != nil {
			return fmt.Errorf("arms.endpoints.%s: %w", name, err)
		}
		r.progress.enter("fill "+name, 0, r.estimate(r.steps))
		client := api.NewClient(url)
		if err := client.CreateBucket(ctx, r.src); err != nil {
			client.Close()
			return fmt.Errorf("arms.endpoints.%s: create bucket %s: %w", name, r.src, err)
		}
		r.beside = append(r.beside, client)
		if err := r.fillEndpoint(ctx, url); err != nil {
			return fmt.Errorf("arms.endpoints.%s: %w", name, err)
		}
	}
	return nil
}

// endpointWriters is how many objects go to an endpoint at once.
const endpointWriters = 4

func (r *run) fillEndpoint(ctx context.Context, url string) error {
	// A server that sends the PUT elsewhere says so before the body is sent.
	transport := &http.Transport{ExpectContinueTimeout: time.Second, MaxIdleConnsPerHost: endpointWriters}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(endpointWriters)
	for _, o := range r.objects {
		g.Go(func() error { return r.store(ctx, client, url, o) })
	}
	return g.Wait()
}

func (r *run) store(ctx context.Context, client *http.Client, url string, o object) error {
	body, err := r.Data.Open(o.name)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+o.path+query(""), body)
	if err != nil {
		body.Close()
		return err
	}
	req.ContentLength = o.size
	req.GetBody = func() (io.ReadCloser, error) { return r.Data.Open(o.name) }
	req.Header.Set("Expect", "100-continue")
	req.Header.Set("Content-Type", api.MimeBinary)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("PUT %s: %s", o.name, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// dropEndpoints removes the buckets that fillEndpoints made.
func (r *run) dropEndpoints(ctx context.Context) {
	for _, c := range r.beside {
		if err := c.DestroyBucket(ctx, r.src); err != nil {
			r.leftover = append(r.leftover, fmt.Errorf("destroy bucket %s at %s: %w", r.src, c.URL(), err))
		}
		c.Close()
	}
	r.beside = nil
}
