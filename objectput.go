package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

type putFlags struct{ workers int }

func objectPutCmd(r *remote) *cobra.Command {
	var f putFlags
	cmd := &cobra.Command{Use: "put FILE|FOLDER|-... BUCKET[/NAME]", Short: "store files, folders or standard input", Args: count(2, -1),
		Long: "Stores a file as BUCKET/NAME, or by its own name if NAME is left out or ends in '/'. Of a folder all files\n" +
			"are stored, those in folders below too, as BUCKET/NAME/path. '-' is standard input, and needs a NAME.\n\n" +
			"The checksum of what was stored is compared with what was sent. A file that cannot be stored does not keep\n" +
			"others from it; then the exit code is 3, and each that failed is named.\n\n" +
			"-o json prints {bucket, objects, bytes, failed}; failed is an array of {file, error}.",
		Example: "  etlbench object put photo.jpg ais://src\n  etlbench object put shards ais://src/train\n  tar c . | etlbench object put - src/all.tar",
		RunE:    r.do(func(ctx context.Context, args []string) error { return f.run(ctx, r, args) })}
	cmd.Flags().IntVar(&f.workers, "num-workers", 4, "how many files are on their way at once, `N`")
	r.outputFlag(cmd)
	return cmd
}

// putFailure is a file that was not stored.
type putFailure struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// putResult is "object put -o json".
type putResult struct {
	Bucket  string       `json:"bucket"`
	Objects int64        `json:"objects"`
	Bytes   int64        `json:"bytes"`
	Failed  []putFailure `json:"failed"`
}

func (f *putFlags) run(ctx context.Context, r *remote, args []string) error {
	sources, dst := args[:len(args)-1], args[len(args)-1]
	if f.workers < 1 || f.workers > 256 {
		return misuse("--num-workers %d: must be 1 to 256", f.workers)
	}
	b, name, err := parseURI(dst)
	if err != nil {
		return err
	}
	list, err := plan(sources, name)
	if err != nil {
		return misuse("%w", err)
	}
	return r.with(ctx, func(c *api.Client) error {
		// A bucket that is not there is one error, not one for each file.
		if _, err := c.HeadBucket(ctx, b); err != nil {
			return r.noBucket(b, err)
		}
		p := &putting{r: r, c: c, b: b, workers: f.workers, all: len(list), res: putResult{Bucket: b.String(), Failed: []putFailure{}}}
		err := p.run(ctx, list)
		perr := r.print(&p.res, func() {
			fmt.Fprintf(r.e.out, "%s, %s, stored in %s\n", plural(p.res.Objects, "object"), size(p.res.Bytes), b)
		})
		return errors.Join(perr, err)
	})
}

// putting stores files with some workers.
type putting struct {
	r       *remote
	c       *api.Client
	b       api.Bucket
	workers int
	all     int

	mu    sync.Mutex // guards what follows
	res   putResult
	first error // of the first file that failed
}

func (p *putting) run(ctx context.Context, list []upload) error {
	queue := make(chan upload)
	var wg sync.WaitGroup
	for range min(p.workers, len(list)) {
		wg.Go(func() {
			for u := range queue {
				p.one(ctx, u)
			}
		})
	}
	stop := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() { p.show(stop) })
	func() {
		defer close(queue)
		for _, u := range list {
			select {
			case queue <- u:
			case <-ctx.Done():
				return
			}
		}
	}()
	wg.Wait()
	close(stop)
	showing.Wait()
	return p.err(ctx, len(list))
}

// err tells what was not stored. A single file's error stands for itself.
func (p *putting) err(ctx context.Context, all int) error {
	failed := len(p.res.Failed)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%d of %d files were stored", p.res.Objects, all)
	case failed == 0:
		return nil
	}
	for _, f := range p.res.Failed {
		if all > 1 {
			fmt.Fprintf(p.r.e.err, "%s: %s\n", shown(f.File), f.Error)
		}
	}
	if all == 1 {
		return fmt.Errorf("%s: %w", p.res.Failed[0].File, p.first)
	}
	return fmt.Errorf("%d of %d files were not stored", failed, all)
}

func (p *putting) one(ctx context.Context, u upload) {
	n, err := p.put(ctx, u)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if p.first == nil {
			p.first = err
		}
		p.res.Failed = append(p.res.Failed, putFailure{u.file, err.Error()})
		return
	}
	p.res.Objects++
	p.res.Bytes += n
}

func (p *putting) put(ctx context.Context, u upload) (int64, error) {
	var src io.Reader = p.r.e.in
	if u.size >= 0 {
		f, err := os.Open(u.file)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		src = f
	}
	i, err := p.c.PutObject(ctx, p.b, u.name, src, u.size)
	if err != nil {
		return 0, err
	}
	return i.Size, nil
}

// show tells how far it is until stop is closed.
func (p *putting) show(stop <-chan struct{}) {
	line := newProgress(p.r.e)
	line.last = time.Now()
	defer line.end()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		text := fmt.Sprintf("%d of %d files, %s", p.res.Objects, p.all, size(p.res.Bytes))
		p.mu.Unlock()
		line.line("", text)
	}
}
