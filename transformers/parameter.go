package transformers

import (
	"context"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/comm"
)

// Limits of parameters.
const (
	maxFactor = 1000
	maxTime   = time.Minute
)

// Defaults of parameters: "sleep" is "sleep-5ms".
const (
	defaultFactor = 10
	defaultTime   = 5 * time.Millisecond
)

// Factor reads the parameter of expand and shrink, such as "10x": 2 to 1000;
// "" is 10.
func Factor(parameter string) (n int, ok bool) {
	if parameter == "" {
		return defaultFactor, true
	}
	digits, isFactor := strings.CutSuffix(parameter, "x")
	n, err := strconv.Atoi(digits)
	return n, isFactor && err == nil && strconv.Itoa(n) == digits && n >= 2 && n <= maxFactor
}

// Time reads the parameter of sleep and burn, such as "5ms": above 0 to 1m; ""
// is 5ms.
func Time(parameter string) (d time.Duration, ok bool) {
	if parameter == "" {
		return defaultTime, true
	}
	d, err := time.ParseDuration(parameter)
	return d, err == nil && d > 0 && d <= maxTime
}

// Split takes a name apart: "sleep-5ms" is "sleep" and "5ms". A name without a
// parameter is its own base.
func Split(name string) (base, parameter string) {
	for _, b := range []string{"expand", "shrink", "sleep", "burn"} {
		if p, ok := strings.CutPrefix(name, b+"-"); ok && p != "" {
			return b, p
		}
	}
	return name, ""
}

// block is what expand repeats.
const block = 4096

// newExpand answers each block of 4 KiB of its input n times over: n times as
// many bytes.
func newExpand(n int) comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		comm.SetSize(dst, o.Size*int64(n))
		src = &ctxReader{ctx: ctx, r: src}
		var buf [block]byte
		for {
			got, err := io.ReadFull(src, buf[:])
			for range n {
				if got == 0 {
					break
				}
				if _, err := dst.Write(buf[:got]); err != nil {
					return err
				}
			}
			switch err {
			case nil:
			case io.EOF, io.ErrUnexpectedEOF:
				return nil
			default:
				return err
			}
		}
	}
}

// newShrink answers every n-th byte of its input, beginning with the first.
func newShrink(n int) comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
		src = &ctxReader{ctx: ctx, r: src}
		buf := make([]byte, 16*block)
		next := 0 // of the input, from the start of buf
		for {
			got, err := src.Read(buf)
			kept := 0
			for ; next < got; next += n {
				buf[kept] = buf[next]
				kept++
			}
			next -= got
			if _, err := dst.Write(buf[:kept]); err != nil {
				return err
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

// newSleep answers its input after a time in which it does nothing: the
// service time is d and what the copy takes.
func newSleep(d time.Duration) comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		return copyBlocks(ctx, dst, src, o.Size)
	}
}

// newBurn answers its input after using d of CPU time, however long that takes
// where CPUs are scarce.
func newBurn(d time.Duration) comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		if err := burn(ctx, d); err != nil {
			return err
		}
		return copyBlocks(ctx, dst, src, o.Size)
	}
}

func burn(ctx context.Context, d time.Duration) error {
	runtime.LockOSThread() // whose time is counted
	defer runtime.UnlockOSThread()
	start := threadTime()
	for sum := uint64(1); threadTime()-start < d; {
		if err := ctx.Err(); err != nil {
			return err
		}
		for range 10_000 { // some ten microseconds
			sum = sum*0x9e3779b97f4a7c15 + 1
		}
		if sum == 0 {
			return nil // it never is, but the compiler does not know
		}
	}
	return nil
}

// threadTime is the CPU time of this thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
