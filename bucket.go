package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

func bucketCmd(e *env) *cobra.Command {
	cmd, r := groupCmd(e, "bucket", "make, list, copy and remove buckets", "A bucket is written as ais://NAME or just NAME.", "bucket ls")
	cmd.AddCommand(bucketCreateCmd(r), bucketLsCmd(r), bucketPropsCmd(r), bucketCpCmd(r), bucketRmCmd(r))
	return cmd
}

// eachBucket does something with buckets. Their names are checked before
// anything is done with the first.
func (r *remote) eachBucket(ctx context.Context, args []string, done string, do func(*api.Client, api.Bucket) error) error {
	var names []string
	for _, a := range args {
		b, err := parseBucket(a)
		if err != nil {
			return err
		}
		names = append(names, b.String())
	}
	return r.with(ctx, func(c *api.Client) error {
		return r.each(names, done, func(name string) error {
			b, err := parseBucket(name)
			if err != nil {
				return err
			}
			return do(c, b)
		})
	})
}

func bucketCreateCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "create BUCKET...", Short: "make buckets", Args: count(1, -1),
		Long: "Makes buckets. -o json prints an array of their names.",
		RunE: r.do(func(ctx context.Context, args []string) error {
			return r.eachBucket(ctx, args, "is made", func(c *api.Client, b api.Bucket) error { return c.CreateBucket(ctx, b) })
		})}
	r.outputFlag(cmd)
	return cmd
}

func bucketLsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "list buckets", Args: cobra.NoArgs,
		Long: "Lists buckets. -o json prints an array of names, such as \"ais://src\".",
		RunE: r.do(func(ctx context.Context, _ []string) error {
			return r.with(ctx, func(c *api.Client) error {
				names, err := bucketNames(ctx, c)
				if err != nil {
					return err
				}
				return r.print(append([]string{}, names...), func() {
					if len(names) == 0 {
						fmt.Fprintln(r.e.err, "no buckets")
					}
					for _, n := range names {
						fmt.Fprintln(r.e.out, n)
					}
				})
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

func bucketPropsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "props BUCKET", Short: "show a bucket's properties", Args: count(1, 1),
		Long:              "Shows a bucket's properties. -o json prints them as AIStore has them.",
		ValidArgsFunction: r.complete(bucketNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			b, err := parseBucket(args[0])
			if err != nil {
				return err
			}
			return r.with(ctx, func(c *api.Client) error {
				props, err := c.HeadBucket(ctx, b)
				if err != nil {
					return err
				}
				return r.print(props, func() {
					t := newTable(r.e.out, "property", "value")
					flat := map[string]string{}
					flatten("", props, flat)
					for _, k := range slices.Sorted(maps.Keys(flat)) {
						t.AppendRow([]any{shown(k), shown(orDash(flat[k]))})
					}
					t.Render()
				})
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

// flatten gives the members of nested JSON objects dotted names.
func flatten(prefix string, value json.RawMessage, to map[string]string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) == nil && members != nil {
		for k, v := range members {
			flatten(strings.TrimPrefix(prefix+"."+k, "."), v, to)
		}
		return
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	to[prefix] = text
}

func bucketRmCmd(r *remote) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "rm BUCKET...", Short: "remove buckets with all their objects", Args: count(1, -1),
		Long:              "Removes buckets. One that has objects is removed after a yes, or with --yes. -o json prints an array of their names.",
		ValidArgsFunction: r.complete(bucketNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			return r.eachBucket(ctx, args, "is removed", func(c *api.Client, b api.Bucket) error {
				if !yes {
					if err := r.sure(ctx, c, b); err != nil {
						return err
					}
				}
				return c.DestroyBucket(ctx, b)
			})
		})}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	r.outputFlag(cmd)
	return cmd
}

// sure asks whether a bucket that has objects is meant; where nobody can be
// asked the answer is no.
func (r *remote) sure(ctx context.Context, c *api.Client, b api.Bucket) error {
	page, err := c.List(ctx, b, api.ListMsg{Flags: api.ListNameOnly, PageSize: 1})
	if err != nil || len(page.Entries) == 0 {
		return err
	}
	if !r.e.inTTY {
		return hint(misuse("%s has objects, %s for one: --yes removes it with all of them", b, shown(page.Entries[0].Name)),
			r.try("bucket rm "+b.String()+" --yes"))
	}
	fmt.Fprintf(r.e.err, "%s has objects, %s for one. Remove it with all of them? [y/N] ", b, shown(page.Entries[0].Name))
	answer := make(chan string, 1)
	go func() { // a read of a terminal does not end with ctx; the process does
		line, _ := bufio.NewReader(r.e.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case a := <-answer:
		if a != "y" && a != "yes" {
			return fmt.Errorf("%s stays", b)
		}
		return nil
	}
}
