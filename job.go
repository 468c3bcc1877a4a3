package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

func jobCmd(e *env) *cobra.Command {
	cmd, r := groupCmd(e, "job", "look at jobs, wait for them, stop them",
		"Jobs are what a cluster does in the background: transforming (etl-bck, etl-listrange), copying (copy-bck,\n"+
			"copy-listrange) and deleting (delete-listrange) objects. A running ETL is a job as well (etl-inline).", "job ls --all")
	cmd.AddCommand(jobLsCmd(r), jobShowCmd(r), jobWaitCmd(r), jobStopCmd(r))
	return cmd
}

// jobJSON tells what a job is in -o json.
const jobJSON = "{id, kind, state, error, from, to, start, end, objects, bytes, source_bytes, failed, targets}.\n" +
	"state is running, idle, finished, failed (some objects) or aborted; end is null before it; source_bytes and failed\n" +
	"are null where the cluster does not tell; targets is an array of {target, state, error, objects, bytes,\n" +
	"sent_objects, sent_bytes, received_objects, received_bytes}"

func jobLsCmd(r *remote) *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "ls [KIND]", Short: "list jobs that run, or all that are remembered", Args: count(0, 1),
		Long: "Lists jobs.\n\n-o json prints an array of " + jobJSON + ".",
		RunE: r.do(func(ctx context.Context, args []string) error {
			var q api.JobQuery
			if len(args) > 0 {
				q.Kind = args[0]
			}
			if !all {
				active := true
				q.Active = &active
			}
			return r.with(ctx, func(c *api.Client) error {
				snaps, err := c.Snaps(ctx, q)
				if err != nil {
					return err
				}
				jobs := slices.DeleteFunc(append([]*jobView{}, viewJobs(snaps)...), func(v *jobView) bool {
					// Those that idled before they ended are shown on for a while.
					return !all && v.ended()
				})
				return r.print(jobs, func() { r.textJobs(jobs, all) })
			})
		})}
	cmd.Flags().BoolVar(&all, "all", false, "also those that have ended")
	r.outputFlag(cmd)
	return cmd
}

func (r *remote) textJobs(jobs []*jobView, all bool) {
	if len(jobs) == 0 && !all {
		fmt.Fprintln(r.e.err, "no jobs run; --all shows those that have ended")
		return
	}
	if len(jobs) == 0 {
		fmt.Fprintln(r.e.err, "no jobs")
		return
	}
	t := newTable(r.e.out, "job", "kind", "state", "buckets", "objects", "bytes", "start", "took")
	for _, v := range jobs {
		t.AppendRow([]any{shown(v.ID), shown(v.Kind), v.State, v.buckets(), v.Objects, size(v.Bytes), clock(v.Start), v.took()})
	}
	t.Render()
}

func jobShowCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "show ID", Short: "show a job, target by target", Args: count(1, 1),
		Long: "Shows a job.\n\n-o json prints " + jobJSON + ".",
		RunE: r.do(func(ctx context.Context, args []string) error {
			return r.with(ctx, func(c *api.Client) error {
				v, err := oneJob(ctx, c, args[0])
				if err != nil {
					return err
				}
				return r.print(v, func() { r.textJob(v) })
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

// oneJob finds a job by its id.
func oneJob(ctx context.Context, c *api.Client, id string) (*jobView, error) {
	snaps, err := c.JobSnaps(ctx, id)
	if err != nil {
		return nil, err
	}
	jobs := viewJobs(snaps)
	if len(jobs) == 0 {
		return nil, api.Errorf(404, api.KindNotFound, "no target knows job %s", id)
	}
	return jobs[0], nil
}

func (r *remote) textJob(v *jobView) {
	fmt.Fprintln(r.e.out, v.line())
	fmt.Fprintf(r.e.out, "started %s\n", clock(v.Start))
	if v.Error != "" {
		fmt.Fprintf(r.e.out, "error: %s\n", shown(v.Error))
	}
	t := wrapped(newTable(r.e.out, "target", "state", "objects", "bytes", "sent", "received", "error"), 7)
	for _, p := range v.Targets {
		t.AppendRow([]any{shown(p.Target), p.State, p.Objects, size(p.Bytes), p.SentObjects, p.ReceivedObjs, shown(orDash(p.Error))})
	}
	t.Render()
}

func jobStopCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "stop ID...", Short: "abort jobs", Args: count(1, -1),
		Long: "Aborts jobs. What they have written stays. -o json prints an array of the ids that were stopped.",
		RunE: r.do(func(ctx context.Context, ids []string) error {
			return r.with(ctx, func(c *api.Client) error {
				return r.each(ids, "is stopped", func(id string) error { return r.stopJob(ctx, c, id) })
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

// stopJob aborts a job. To the cluster every id is a good one, and so is a job
// that has ended.
func (r *remote) stopJob(ctx context.Context, c *api.Client, id string) error {
	v, err := oneJob(ctx, c, id)
	if err != nil {
		return err
	}
	if v.ended() {
		return fmt.Errorf("job %s has ended already", id)
	}
	return c.StopJob(ctx, id)
}

func jobWaitCmd(r *remote) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait ID", Short: "wait for a job to end, and say how it did", Args: count(1, 1),
		Long: "Waits until a job has ended; one over named objects (etl-listrange, copy-listrange), which stays a while\n" +
			"when its work is done, until it is idle on all targets. A job that was aborted, or that failed on objects,\n" +
			"is exit code 3. Ctrl-C ends the wait, not the job.\n\n-o json prints " + jobJSON + ".",
		RunE: r.do(func(ctx context.Context, args []string) error {
			if timeout < 0 {
				return misuse("--timeout %s: must not be negative", timeout)
			}
			return r.with(ctx, func(c *api.Client) error {
				v, err := r.await(ctx, c, args[0], timeout)
				if err != nil {
					return err
				}
				return errors.Join(r.print(v, func() { fmt.Fprintln(r.e.out, v.line()) }), r.outcome(v))
			})
		})}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this `TIME` (0: never)")
	r.outputFlag(cmd)
	return cmd
}

// await waits for a job with its progress on stderr.
func (r *remote) await(ctx context.Context, c *api.Client, id string, timeout time.Duration) (*jobView, error) {
	v, err := oneJob(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if v.Kind == api.ActETLInline && !v.ended() {
		return nil, misuse("%s is an ETL that runs: it ends when it is stopped", id)
	}
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	p := newProgress(r.e)
	p.last = time.Now() // a short wait says nothing
	snaps, err := c.AwaitJob(limited, id, func(snaps map[string][]api.Snap) {
		if jobs := viewJobs(snaps); len(jobs) > 0 {
			p.line("", jobs[0].line())
		}
	})
	p.end()
	if err != nil && limited.Err() != nil {
		err = fmt.Errorf("job %s goes on in the cluster", id)
		if ctx.Err() == nil {
			err = fmt.Errorf("job %s has not ended within %s, and goes on in the cluster", id, timeout)
		}
		return nil, hint(err, r.try("job wait "+id)+", or "+r.try("job stop "+id))
	}
	if err != nil {
		return nil, err
	}
	if jobs := viewJobs(snaps); len(jobs) > 0 {
		v = jobs[0]
	}
	return v, nil
}

// outcome is the error of a job that did not do all that it should.
func (r *remote) outcome(v *jobView) error {
	err := v.err()
	if err == nil {
		return nil
	}
	return hint(err, r.try("job show "+v.ID))
}
