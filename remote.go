package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

// remote is what a verb that talks to a cluster has: which one it is, and how
// results are printed.
type remote struct {
	e       *env
	cluster string
	output  string
	// lost is the command that lists what there is, for names that are not.
	lost string
}

// groupCmd is a group of verbs, such as etl.
func groupCmd(e *env, use, short, long, lost string) (*cobra.Command, *remote) {
	r := &remote{e: e, lost: lost, output: "text"}
	cmd := &cobra.Command{Use: use, Short: short, Long: long + "\n\n" +
		"The cluster is the one of --cluster, else $AIS_ENDPOINT, else the one that runs on this machine.\n" +
		"It may be a real AIStore.", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.PersistentFlags().StringVar(&r.cluster, "cluster", "", "`URL` of a proxy")
	return cmd, r
}

// do is a verb's RunE: what f returns is an error of running, unless it says
// otherwise, and has a next step where one is known.
func (r *remote) do(f func(context.Context, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if r.output != "text" && r.output != "json" {
			return misuse("-o %q: must be text or json", r.output)
		}
		return fail(r.advise(f(cmd.Context(), args)))
	}
}

// outputFlag gives a verb -o.
func (r *remote) outputFlag(cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.Flags().StringVarP(&r.output, "output", "o", "text", "`text|json`")
	}
}

// count checks the number of arguments; most -1 is any.
func count(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n := len(args); n < least || most >= 0 && n > most {
			noun := "arguments"
			if n == 1 {
				noun = "argument"
			}
			return fmt.Errorf("%d %s given, the use is: %s", n, noun, cmd.UseLine())
		}
		return nil
	}
}

// connect chooses the cluster. The caller closes the client.
func (r *remote) connect(ctx context.Context) (*api.Client, error) {
	where, err := chooseCluster(ctx, r.e, r.cluster, nil)
	if err != nil {
		return nil, err
	}
	if where == nil {
		return nil, hint(fail(errors.New("no cluster: neither --cluster nor AIS_ENDPOINT names one, and none runs here")), "etlbench up --detach")
	}
	u, err := url.Parse(where.urls[0])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, misuse("%s %q: must be the URL of a proxy, such as http://127.0.0.1:8080", where.why, where.urls[0])
	}
	if r.cluster == "" && where.kind == "external" {
		// The environment is the one choice that nobody sees.
		fmt.Fprintf(r.e.err, "using the cluster at %s (%s)\n", where.urls[0], where.why)
	}
	return api.NewClient(where.urls[0]), nil
}

// with runs f with a client.
func (r *remote) with(ctx context.Context, f func(*api.Client) error) error {
	c, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// try is a command line of this program for the same cluster.
func (r *remote) try(line string) string {
	if r.cluster != "" {
		line += " --cluster " + r.cluster
	}
	return "etlbench " + line
}

// advise adds the next step that a kind of error asks for.
func (r *remote) advise(err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, api.ErrBucketNotFound):
		return hint(err, r.try("bucket ls"))
	case errors.Is(err, api.ErrNotFound):
		return hint(err, r.try(r.lost))
	case errors.As(err, &dial) && dial.Op == "dial":
		return hint(fmt.Errorf("no cluster answers: %w", err), "etlbench status, or another --cluster URL")
	}
	return err
}

// noBucket is an error of writing to a bucket, which may have to be made first.
func (r *remote) noBucket(b api.Bucket, err error) error {
	if errors.Is(err, api.ErrBucketNotFound) {
		return hint(err, r.try("bucket create "+b.String()))
	}
	return err
}

// print gives v as JSON, or calls text.
func (r *remote) print(v any, text func()) error {
	if r.output != "json" {
		text()
		return nil
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.e.out, "%s\n", data)
	return err
}

// each does something with things by name until it fails with one. What was
// done until then is printed.
func (r *remote) each(names []string, done string, do func(string) error) (err error) {
	did := []string{}
	for _, name := range names {
		if err = do(name); err != nil {
			break
		}
		did = append(did, name)
	}
	return errors.Join(r.print(did, func() {
		for _, name := range did {
			fmt.Fprintf(r.e.out, "%s %s\n", shown(name), done)
		}
	}), err)
}

// completeTimeout bounds what a completion may take.
const completeTimeout = 2 * time.Second

// complete offers what list gives for the first argument.
func (r *remote) complete(list func(context.Context, *api.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		var names []string
		err := r.with(ctx, func(c *api.Client) (err error) {
			names, err = list(ctx, c)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func etlNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.ETLs(ctx)
	var names []string
	for _, l := range list {
		names = append(names, l.ID)
	}
	return names, err
}

func bucketNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Buckets(ctx)
	var names []string
	for _, b := range list {
		names = append(names, b.String())
	}
	return names, err
}
