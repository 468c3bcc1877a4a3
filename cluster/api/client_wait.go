package api

import (
	"context"
	"fmt"
	"time"
)

// Snaps asks what each target tells of the jobs of a query, by target ID.
func (c *Client) Snaps(ctx context.Context, q JobQuery) (map[string][]Snap, error) {
	q.Ext = true // clusters without the extension pass it over
	var snaps map[string][]Snap
	return snaps, c.queryJobs(ctx, "qryxstats", q, &snaps)
}

// idlePolls is how often in a row a job must be idle everywhere: it may be so
// for a moment between two objects.
const idlePolls = 2

// AwaitJob polls until a job has ended, well or not, or ctx. Jobs of an idling
// kind are awaited by being idle: in a real cluster they end much later, and
// have no status. It returns what the targets told last, and gives each earlier
// word to progress, which may be nil.
func (c *Client) AwaitJob(ctx context.Context, id string, progress func(map[string][]Snap)) (map[string][]Snap, error) {
	const first, most = 20 * time.Millisecond, time.Second
	idle := 0
	for wait := first; ; wait = min(wait*3/2, most) {
		snaps, err := c.JobSnaps(ctx, id)
		if err != nil {
			return nil, err
		}
		kind, ended := progressOf(snaps, &idle)
		if Idling(kind) && (ended || idle >= idlePolls) {
			return snaps, nil
		}
		if !Idling(kind) {
			st, err := c.JobStatus(ctx, id)
			if err != nil {
				return nil, err
			}
			if st.Done() { // the counts that came before may not be the last
				return c.JobSnaps(ctx, id)
			}
		}
		if progress != nil {
			progress(snaps)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("job %s: %w", id, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// progressOf tells the kind of a job and whether all its parts have ended, and
// counts in idle the polls in a row that found all of them idle.
func progressOf(snaps map[string][]Snap, idle *int) (kind string, ended bool) {
	ended, isIdle := true, true
	for _, list := range snaps {
		for _, s := range list {
			kind = s.Kind
			ended = ended && !s.End.IsZero()
			isIdle = isIdle && s.Idle
		}
	}
	if *idle++; !isIdle || kind == "" {
		*idle = 0
	}
	return kind, ended && kind != ""
}
