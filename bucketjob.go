package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

// bucketJob are the flags of jobs from bucket to bucket: etl bucket, etl
// inspect and bucket cp.
type bucketJob struct {
	etl                      string // "" to copy
	prefix, list, template   string
	prepend, ext             string
	pipeline                 string
	workers                  int
	requestTimeout, wait     time.Duration
	dryRun, sync, nonRecurs  bool
	latest, continues, waits bool
}

// selection adds the flags that say which objects a job is about.
func (j *bucketJob) selection(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&j.prefix, "prefix", "", "only objects whose names begin with `TEXT`")
	fl.StringVar(&j.list, "list", "", "only the objects with these `NAMES`, with commas between")
	fl.StringVar(&j.template, "template", "", "only the objects that `TEXT` stands for: shard-{001..100}.tar, shard-@100, or a prefix")
	fl.IntVar(&j.workers, "num-workers", 0, "how many objects a target has in hand at once, `N` (0: its own choice, -1: one)")
}

// transforming adds the flags of jobs with an ETL.
func (j *bucketJob) transforming(cmd *cobra.Command) {
	cmd.Flags().StringVar(&j.pipeline, "pipeline", "", "further ETLs that an object passes through, `NAMES` with commas between")
	cmd.Flags().BoolVar(&j.latest, "latest", false, "tell the transformers to take the latest version of each object")
	cmd.Flags().DurationVar(&j.requestTimeout, "requests-timeout", 0, "how long one object may take, `TIME` (0: as the ETL has it)")
}

// writing adds the flags of jobs that write.
func (j *bucketJob) writing(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&j.prepend, "prepend", "", "put `TEXT` in front of the names of the results")
	fl.StringVar(&j.ext, "ext", "", "give results another extension, `PAIRS` such as jpg:png,jpeg:png")
	fl.BoolVar(&j.dryRun, "dry-run", false, "write nothing, and tell how many objects and bytes it would have been")
	fl.BoolVar(&j.sync, "sync", false, "then delete in the destination what the source does not have")
	fl.BoolVar(&j.nonRecurs, "non-recursive", false, "leave out objects with a '/' in their names, behind the prefix")
	fl.BoolVar(&j.continues, "cont-on-err", false, "go on when an object fails")
	fl.BoolVar(&j.waits, "wait", false, "wait for the end, with progress on stderr; --dry-run always waits")
	fl.DurationVar(&j.wait, "wait-timeout", 0, "wait, but give up after this `TIME`")
}

// check checks flags that do not go together or are out of range.
func (j *bucketJob) check() error {
	given := 0
	for _, s := range []string{j.prefix, j.list, j.template} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return misuse("--prefix, --list and --template say which objects: give one of them")
	case j.workers < -1:
		return misuse("--num-workers %d: must be -1 or more", j.workers)
	case j.requestTimeout < 0:
		return misuse("--requests-timeout %s: must not be negative", j.requestTimeout)
	case j.wait < 0:
		return misuse("--wait-timeout %s: must not be negative", j.wait)
	}
	if _, err := api.ParseTemplate(j.template); err != nil {
		return misuse("--template: %w", err)
	}
	return nil
}

// message is the request that the flags make.
func (j *bucketJob) message() (m api.TransformMsg, err error) {
	if err := j.check(); err != nil {
		return m, err
	}
	m = api.TransformMsg{ID: j.etl, Prepend: j.prepend, Prefix: j.prefix, Template: j.template, DryRun: j.dryRun,
		Sync: j.sync, NonRecursive: j.nonRecurs, LatestVer: j.latest, Workers: j.workers, ContinueOnErr: j.continues,
		RequestTimeout: api.Duration(j.requestTimeout)}
	if j.list != "" {
		if m.Objects, err = parseList("--list", j.list); err != nil {
			return m, err
		}
	}
	if m.Pipeline, err = parsePipeline(j.pipeline); err != nil {
		return m, err
	}
	if j.ext != "" {
		pairs, err := parsePairs("--ext", j.ext)
		if err != nil {
			return m, err
		}
		if m.Ext, err = json.Marshal(pairs); err != nil {
			return m, err
		}
	}
	return m, nil
}

// parsePipeline reads the names of further ETLs.
func parsePipeline(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	names, err := parseList("--pipeline", s)
	if err != nil {
		return nil, err
	}
	return names, checkETLs(names...)
}

// start starts the job and returns its id.
func (j *bucketJob) start(ctx context.Context, c *api.Client, from, to api.Bucket) (string, error) {
	m, err := j.message()
	if err != nil {
		return "", err
	}
	named := len(m.Objects) > 0 || m.Template != ""
	switch {
	case j.etl != "" && named:
		return c.TransformObjects(ctx, from, to, m)
	case j.etl != "":
		return c.TransformBucket(ctx, from, to, m)
	case named:
		return c.CopyObjects(ctx, from, to, m)
	}
	return c.CopyBucket(ctx, from, to, m)
}

// run is the whole verb: the job's id, or with --wait how it went.
func (j *bucketJob) run(ctx context.Context, r *remote, from, to string) error {
	src, err := parseBucket(from)
	if err != nil {
		return err
	}
	dst, err := parseBucket(to)
	if err != nil {
		return err
	}
	if _, err := j.message(); err != nil {
		return err
	}
	return r.with(ctx, func(c *api.Client) error {
		id, err := j.start(ctx, c, src, dst)
		if err != nil {
			return err
		}
		if !j.waits && !j.dryRun && j.wait == 0 {
			return r.print(map[string]string{"id": id}, func() {
				fmt.Fprintln(r.e.out, id)
				fmt.Fprintf(r.e.err, "it goes on in the cluster; to wait for it: %s\n", r.try("job wait "+id))
			})
		}
		v, err := r.await(ctx, c, id, j.wait)
		if err != nil {
			return err
		}
		err = r.print(v, func() {
			if j.dryRun {
				fmt.Fprintf(r.e.out, "dry run, nothing was written: %s, %s would have been put into %s\n", plural(v.Objects, "object"), size(v.Bytes), dst)
				return
			}
			fmt.Fprintln(r.e.out, v.line())
		})
		return errors.Join(err, j.outcome(r, v))
	})
}

// outcome is how the job went, with where its failed objects are listed.
func (j *bucketJob) outcome(r *remote, v *jobView) error {
	if j.etl == "" {
		return r.outcome(v)
	}
	return hint(v.err(), r.try("etl errors "+j.etl+" "+v.ID))
}

// flags adds those of every job that writes.
func (j *bucketJob) flags(r *remote, cmd *cobra.Command) *cobra.Command {
	j.selection(cmd)
	j.writing(cmd)
	r.outputFlag(cmd)
	return cmd
}

// intoBucket is how the descriptions of jobs that write end.
const intoBucket = ", which is made if it is\nnot there. Without --wait the job's id is printed at once.\n\n" +
	"-o json prints {id}; with --wait or --dry-run " + jobJSON + "."

func etlBucketCmd(r *remote) *cobra.Command {
	var j bucketJob
	cmd := &cobra.Command{Use: "bucket NAME SOURCE DESTINATION", Short: "transform a bucket into another one", Args: count(3, 3),
		Long: "Starts a job that transforms all objects of a bucket, or some, into another bucket" + intoBucket,
		Example: "  etlbench etl bucket etl-md5 ais://src ais://dst --wait\n" +
			"  etlbench etl bucket etl-md5 src dst --template 'shard-{001..100}.tar' --ext tar:md5",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			if err := checkETLs(args[0]); err != nil {
				return err
			}
			j.etl = args[0]
			return j.run(ctx, r, args[1], args[2])
		})}
	j.transforming(cmd)
	return j.flags(r, cmd)
}

func bucketCpCmd(r *remote) *cobra.Command {
	var j bucketJob
	cmd := &cobra.Command{Use: "cp SOURCE DESTINATION", Short: "copy a bucket", Args: count(2, 2),
		Long:              "Starts a job that copies all objects of a bucket, or some, into another bucket" + intoBucket,
		ValidArgsFunction: r.complete(bucketNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			return j.run(ctx, r, args[0], args[1])
		})}
	return j.flags(r, cmd)
}

// inspection is "etl inspect -o json".
type inspection struct {
	Job    *jobView   `json:"job"`
	Errors []etlError `json:"errors"`
}

func etlInspectCmd(r *remote) *cobra.Command {
	j := bucketJob{dryRun: true, continues: true}
	cmd := &cobra.Command{Use: "inspect NAME BUCKET", Short: "find the objects that an ETL fails on, writing nothing", Args: count(2, 2),
		Long: "Transforms all objects of a bucket, or some, throws the results away, and lists the objects that fail, if\n" +
			"any: then the exit code is 3.\n\n" +
			"-o json prints {job, errors}: errors is an array of {object, status, message}, job is\n" + jobJSON + ".",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			if err := checkETLs(args[0]); err != nil {
				return err
			}
			b, err := parseBucket(args[1])
			if err != nil {
				return err
			}
			j.etl = args[0]
			if _, err := j.message(); err != nil {
				return err
			}
			return r.with(ctx, func(c *api.Client) error { return j.inspect(ctx, r, c, b) })
		})}
	j.selection(cmd)
	j.transforming(cmd)
	cmd.Flags().DurationVar(&j.wait, "wait-timeout", 0, "give up after this `TIME` (0: never)")
	r.outputFlag(cmd)
	return cmd
}

func (j *bucketJob) inspect(ctx context.Context, r *remote, c *api.Client, b api.Bucket) error {
	id, err := j.start(ctx, c, b, b)
	if err != nil {
		return err
	}
	v, err := r.await(ctx, c, id, j.wait)
	if err != nil {
		return err
	}
	list, err := c.ETLErrors(ctx, j.etl, id)
	if err != nil {
		return err
	}
	errs := etlErrors(list)
	err = r.print(inspection{v, errs}, func() {
		fmt.Fprintf(r.e.out, "%s of %s pass through %s, with results of %s\n", plural(v.Objects, "object"), b, j.etl, size(v.Bytes))
		if len(errs) > 0 {
			r.textErrors(errs)
		}
	})
	return errors.Join(err, v.err())
}
