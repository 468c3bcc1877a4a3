package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

// inlineFlags are what an ETL is told of a single object.
type inlineFlags struct {
	args, pipeline string
	latest         bool
}

func etlObjectCmd(r *remote) *cobra.Command {
	var f inlineFlags
	cmd := &cobra.Command{Use: "object NAME BUCKET/OBJECT FILE|-|ais://BUCKET/OBJECT", Short: "transform one object",
		Args: count(3, 4),
		Long: "Transforms an object into a file, to standard output, or into another object, whose bucket must be there.\n" +
			"NAME cp BUCKET/OBJECT BUCKET/OBJECT is the same as the last of these.\n\n" +
			"A file is there when all of it has come, or not at all.",
		Example: "  etlbench etl object etl-md5 ais://src/shard-0.tar -\n" +
			"  etlbench etl object etl-resize src/photo.jpg small.jpg --args 128\n" +
			"  etlbench etl object etl-md5 src/shard-0.tar ais://sums/shard-0.md5",
		ValidArgsFunction: r.complete(etlNames),
		RunE:              r.do(func(ctx context.Context, args []string) error { return f.run(ctx, r, args) })}
	cmd.Flags().StringVar(&f.args, "args", "", "`TEXT` for the transformer: its etl_args")
	cmd.Flags().StringVar(&f.pipeline, "pipeline", "", "further ETLs that the object passes through, `NAMES` with commas between")
	cmd.Flags().BoolVar(&f.latest, "latest", false, "tell the transformer to take the latest version")
	return cmd
}

func (f *inlineFlags) query() (url.Values, error) {
	pipeline, err := parsePipeline(f.pipeline)
	q := url.Values{}
	if f.args != "" {
		q.Set(api.QparamETLArgs, f.args)
	}
	if len(pipeline) > 0 {
		q.Set(api.QparamPipeline, strings.Join(pipeline, ","))
	}
	if f.latest {
		q.Set(api.QparamLatestVer, "true")
	}
	return q, err
}

func (f *inlineFlags) run(ctx context.Context, r *remote, args []string) error {
	etl, rest := args[0], args[1:]
	copies := rest[0] == "cp" && len(rest) == 3
	if copies {
		rest = rest[1:]
	} else if len(rest) == 3 {
		return misuse("unexpected %q: an ETL, an object and where its result goes is all there is", rest[2])
	}
	if err := checkETLs(etl); err != nil {
		return err
	}
	b, name, err := parseObject(rest[0])
	if err != nil {
		return err
	}
	q, err := f.query()
	if err != nil {
		return err
	}
	if !copies && !strings.HasPrefix(rest[1], api.ProviderAIS+"://") {
		q.Set(api.QparamETLName, etl)
		return r.with(ctx, func(c *api.Client) error {
			return r.aboutObject(b, r.fetch(ctx, c, b, name, rest[1], api.GetOptions{Query: q}))
		})
	}
	toBucket, toName, err := parseObject(rest[1])
	if err != nil {
		return err
	}
	return r.with(ctx, func(c *api.Client) error {
		if err := c.DeriveObject(ctx, b, name, toBucket, toName, etl, q); err != nil {
			return r.aboutObject(b, err)
		}
		fmt.Fprintf(r.e.out, "%s/%s\n", toBucket, toName)
		return nil
	})
}

// aboutObject tells an object that is missing from an ETL or a job that is.
func (r *remote) aboutObject(b api.Bucket, err error) error {
	if errors.Is(err, api.ErrNotFound) && strings.Contains(err.Error(), b.String()+"/") {
		return hint(err, r.try("object ls "+b.String()))
	}
	return err
}
