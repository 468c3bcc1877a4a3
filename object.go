package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

func objectCmd(e *env) *cobra.Command {
	cmd, r := groupCmd(e, "object", "put, get, list, copy and remove objects",
		"An object is written as ais://BUCKET/NAME or just BUCKET/NAME.", "object ls BUCKET")
	cmd.AddCommand(objectPutCmd(r), objectGetCmd(r), objectHeadCmd(r), objectLsCmd(r), objectCpCmd(r), objectRmCmd(r))
	return cmd
}

// objectView is "object head -o json".
type objectView struct {
	Object        string            `json:"object"`
	Size          int64             `json:"size"`
	ChecksumType  string            `json:"checksum_type"`
	ChecksumValue string            `json:"checksum_value"`
	Version       string            `json:"version"`
	Atime         *time.Time        `json:"atime"` // last read or written; null when not told
	Custom        map[string]string `json:"custom"`
	Location      string            `json:"location"`
}

func viewObject(b api.Bucket, name string, i *api.ObjectInfo) *objectView {
	v := &objectView{Object: b.String() + "/" + name, Size: i.Size, ChecksumType: i.ChecksumType, ChecksumValue: i.ChecksumValue,
		Version: i.Version, Custom: map[string]string{}, Location: i.Location}
	maps.Copy(v.Custom, i.Custom)
	if !i.Atime.IsZero() {
		v.Atime = &i.Atime
	}
	return v
}

func objectHeadCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "head BUCKET/OBJECT", Short: "show what is known of an object", Args: count(1, 1),
		Long: "Shows what is known of an object, without its content.\n\n" +
			"-o json prints {object, size, checksum_type, checksum_value, version, atime, custom, location}.",
		RunE: r.do(func(ctx context.Context, args []string) error {
			b, name, err := parseObject(args[0])
			if err != nil {
				return err
			}
			return r.with(ctx, func(c *api.Client) error {
				i, err := c.HeadObject(ctx, b, name)
				if err != nil {
					return r.aboutObject(b, err)
				}
				v := viewObject(b, name, i)
				return r.print(v, func() { r.textObject(v, i.Atime) })
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

func (r *remote) textObject(v *objectView, atime time.Time) {
	t := newDetails(r.e.out)
	t.AppendRow([]any{"object", shown(v.Object)})
	exact := size(v.Size)
	if v.Size >= 1<<10 {
		exact += fmt.Sprintf(" (%s)", plural(v.Size, "byte"))
	}
	t.AppendRow([]any{"size", exact})
	t.AppendRow([]any{"checksum", shown(orDash(v.ChecksumType + " " + v.ChecksumValue))})
	t.AppendRow([]any{"version", shown(orDash(v.Version))})
	t.AppendRow([]any{"accessed", clock(atime)})
	t.AppendRow([]any{"location", shown(orDash(v.Location))})
	for _, k := range slices.Sorted(maps.Keys(v.Custom)) {
		t.AppendRow([]any{"custom " + shown(k), shown(v.Custom[k])})
	}
	t.Render()
}

// entryView is a line of "object ls -o json".
type entryView struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Checksum string `json:"checksum"`
	Version  string `json:"version"`
	Atime    string `json:"atime"` // RFC 3339
}

// errEnough ends a listing before its end.
var errEnough = errors.New("enough")

func objectLsCmd(r *remote) *cobra.Command {
	var (
		prefix string
		limit  int
	)
	cmd := &cobra.Command{Use: "ls BUCKET[/PREFIX]", Short: "list objects", Args: count(1, 1),
		Long: "Lists objects by name, or those whose names begin with PREFIX.\n\n" +
			"-o json prints an array of {name, size, checksum, version, atime}.",
		ValidArgsFunction: r.complete(bucketNames),
		RunE: r.do(func(ctx context.Context, args []string) error {
			b, begin, err := parseURI(args[0])
			switch {
			case err != nil:
				return err
			case begin != "" && prefix != "":
				return misuse("--prefix and %s: give the prefix once", args[0])
			case limit < 0:
				return misuse("--limit %d: must not be negative", limit)
			}
			return r.with(ctx, func(c *api.Client) error {
				list, err := listObjects(ctx, c, b, begin+prefix, limit)
				if err != nil {
					return err
				}
				return r.print(list, func() { r.textEntries(list) })
			})
		})}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin with `TEXT`")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most `N` objects (0: all)")
	r.outputFlag(cmd)
	return cmd
}

func listObjects(ctx context.Context, c *api.Client, b api.Bucket, prefix string, limit int) ([]entryView, error) {
	list := []entryView{}
	msg := api.ListMsg{Prefix: prefix, Props: "name,size,checksum,version,atime", TimeFormat: time.RFC3339}
	if limit > 0 {
		msg.PageSize = int64(min(limit, api.MaxPage))
	}
	err := c.ListEach(ctx, b, msg, func(e *api.ListEntry) error {
		list = append(list, entryView{e.Name, e.Size, e.Checksum, e.Version, e.Atime})
		if len(list) == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, err
}

func (r *remote) textEntries(list []entryView) {
	if len(list) == 0 {
		fmt.Fprintln(r.e.err, "no objects")
		return
	}
	var sum int64
	t := newTable(r.e.out, "object", "size", "version", "accessed")
	for _, e := range list {
		at, _ := time.Parse(time.RFC3339, e.Atime) // none is shown as none
		t.AppendRow([]any{shown(e.Name), size(e.Size), orDash(e.Version), clock(at)})
		sum += e.Size
	}
	t.Render()
	fmt.Fprintf(r.e.err, "%s, %s\n", plural(int64(len(list)), "object"), size(sum))
}

func objectCpCmd(r *remote) *cobra.Command {
	return &cobra.Command{Use: "cp BUCKET/OBJECT BUCKET/OBJECT", Short: "copy an object", Args: count(2, 2),
		Long: "Copies an object to another name or bucket, which must be there. It prints the name of the copy.",
		RunE: r.do(func(ctx context.Context, args []string) error {
			from, name, err := parseObject(args[0])
			if err != nil {
				return err
			}
			to, toName, err := parseObject(args[1])
			if err != nil {
				return err
			}
			return r.with(ctx, func(c *api.Client) error {
				if err := c.DeriveObject(ctx, from, name, to, toName, "", nil); err != nil {
					return r.aboutObject(from, err)
				}
				fmt.Fprintf(r.e.out, "%s/%s\n", to, toName)
				return nil
			})
		})}
}

func objectRmCmd(r *remote) *cobra.Command {
	var j bucketJob
	cmd := &cobra.Command{Use: "rm BUCKET/OBJECT...|BUCKET", Short: "remove objects", Args: count(1, -1),
		Long: "Removes the objects that are named, or those of a BUCKET that --prefix, --list or --template stands for.\n\n" +
			"-o json prints an array of the names; for the latter form " + jobJSON + ".",
		Example: "  etlbench object rm ais://src/a.tar ais://src/b.tar\n  etlbench object rm src --template 'shard-{000..099}.tar'",
		RunE: r.do(func(ctx context.Context, args []string) error {
			if j.prefix != "" || j.list != "" || j.template != "" {
				return j.remove(ctx, r, args)
			}
			return r.removeObjects(ctx, args)
		})}
	fl := cmd.Flags()
	fl.StringVar(&j.prefix, "prefix", "", "the objects whose names begin with `TEXT`")
	fl.StringVar(&j.list, "list", "", "the objects with these `NAMES`, with commas between")
	fl.StringVar(&j.template, "template", "", "the objects that `TEXT` stands for: shard-{001..100}.tar, shard-@100, or a prefix")
	r.outputFlag(cmd)
	return cmd
}

func (r *remote) removeObjects(ctx context.Context, args []string) error {
	for _, a := range args {
		if _, _, err := parseObject(a); err != nil {
			return err
		}
	}
	return r.with(ctx, func(c *api.Client) error {
		return r.each(args, "is removed", func(a string) error {
			b, name, err := parseObject(a)
			if err != nil {
				return err
			}
			return r.aboutObject(b, c.Delete(ctx, b, name))
		})
	})
}

// remove removes what the flags select, in one job.
func (j *bucketJob) remove(ctx context.Context, r *remote, args []string) error {
	if len(args) > 1 {
		return misuse("unexpected %q: with --prefix, --list or --template one BUCKET is all there is", args[1])
	}
	b, err := parseBucket(args[0])
	if err != nil {
		return err
	}
	m, err := j.message()
	if err != nil {
		return err
	}
	template := m.Template
	if j.prefix != "" {
		// To a cluster it is a template. It must not become another one.
		t, err := api.ParseTemplate(j.prefix)
		only := err == nil
		if only {
			var text string
			text, only = t.Prefix()
			only = only && text == j.prefix
		}
		if !only {
			return misuse("--prefix %q: the cluster would read it as a template: use --list or --template", j.prefix)
		}
		template = j.prefix
	}
	return r.with(ctx, func(c *api.Client) error {
		id, err := c.DeleteObjects(ctx, b, m.Objects, template)
		if err != nil {
			return err
		}
		v, err := r.await(ctx, c, id, 0)
		if err != nil {
			return err
		}
		return errors.Join(r.print(v, func() { fmt.Fprintln(r.e.out, v.line()) }), r.outcome(v))
	})
}
