// Package transformers holds the sample transforms: small, deterministic
// functions from bytes to bytes, one file each. A pod runs one of them behind
// a comm.Server; the load generator runs the same one to know which output to
// expect, so a transform's output depends on its input and comm.Info alone.
//
// Functions that users send as Python source are not here: see
// transformers/python.
package transformers

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/etlbench/etlbench/cluster/comm"
)

// constructors is the table of samples by name. It is never written to. Each
// is given the parameter that stands behind the name, "" without one, and
// gives nil when it makes no sense.
var constructors = map[string]func(parameter string) comm.Transform{
	"echo":       plain(newEcho),
	"md5":        plain(newMD5),
	"gzip":       plain(newGzip),
	"tar-images": plain(newTarImages),
	"flac-wav":   plain(newFlacWAV),
	"expand":     with(Factor, newExpand),
	"shrink":     with(Factor, newShrink),
	"sleep":      with(Time, newSleep),
	"burn":       with(Time, newBurn),
}

func plain(construct func() comm.Transform) func(string) comm.Transform {
	return func(parameter string) comm.Transform {
		if parameter != "" {
			return nil
		}
		return construct()
	}
}

func with[T any](read func(string) (T, bool), construct func(T) comm.Transform) func(string) comm.Transform {
	return func(parameter string) comm.Transform {
		v, ok := read(parameter)
		if !ok {
			return nil
		}
		return construct(v)
	}
}

// Lookup returns the sample transform of that name, and whether there is one.
// expand, shrink, sleep and burn may have a parameter behind them ("expand-10x",
// "sleep-5ms"): see Factor and Time. Each call makes a new Transform, which
// keeps buffers from object to object: look it up once and use it often. It
// may be called concurrently.
func Lookup(name string) (comm.Transform, bool) {
	base, parameter := Split(name)
	construct, ok := constructors[base]
	if !ok {
		return nil, false
	}
	t := construct(parameter)
	return t, t != nil
}

// Output is Lookup's transform as far as its output goes: of one that takes its
// time, without the time.
func Output(name string) (comm.Transform, bool) {
	t, ok := Lookup(name)
	if base, _ := Split(name); ok && (base == "sleep" || base == "burn") {
		return newEcho(), true
	}
	return t, ok
}

// Names returns the names that Lookup knows, sorted, without parameters.
func Names() []string {
	names := make([]string, 0, len(constructors))
	for name := range constructors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxBlock is the most that is copied between two looks at the context.
const maxBlock = 256 << 10

var blocks = sync.Pool{New: func() any { return new([maxBlock]byte) }}

// copyBlocks copies src to dst in blocks and stops when ctx ends. Size is the
// expected number of bytes, -1 when unknown: a small object then gets a small
// block, which matters at thousands of 4 KiB objects a second.
func copyBlocks(ctx context.Context, dst io.Writer, src io.Reader, size int64) error {
	comm.SetSize(dst, size)
	if s, ok := src.(*comm.SharedReader); ok { // it ends with ctx, and needs no block
		_, err := s.WriteTo(dst)
		return err
	}
	block := int64(maxBlock)
	if size >= 0 && size < block {
		block = size + 1 // one more, so that the end is seen by the read that fills it
	}
	buf := blocks.Get().(*[maxBlock]byte)
	defer blocks.Put(buf)
	_, err := io.CopyBuffer(dst, &ctxReader{ctx: ctx, r: src}, buf[:block])
	return err
}

// ctxReader is a reader that fails once its context has ended. It keeps the
// context because it lives no longer than the call that it was made for.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
