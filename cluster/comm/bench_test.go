package comm_test

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
)

// BenchmarkLinks has an object go to a pod that echoes, on its unix socket, and
// the result to a file that takes anything: both ends of the wire and nothing
// else. cpu-us/op is what the process took, of both ends.
func BenchmarkLinks(b *testing.B) {
	for _, name := range []string{"hpush", "ws", "shm"} {
		for _, size := range []int64{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) { benchmarkLink(b, name, size) })
		}
	}
}

func benchmarkLink(b *testing.B, name string, size int64) {
	srv, err := comm.NewServer(comm.ServerConfig{Log: slog.New(slog.DiscardHandler),
		Transform: func(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
			s, ok := src.(*comm.SharedReader)
			if !ok {
				_, err := comm.Copy(dst, src)
				return err
			}
			_, err := s.WriteTo(dst)
			return err
		}})
	require.NoError(b, err)
	socket, err := net.Listen("unix", "@etlbench-test-"+crand.Text())
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ctx, socket) }()
	typ, err := comm.Lookup(name)
	require.NoError(b, err)
	link := typ.Dial("http://pod", comm.Options{Socket: socket.Addr().String()})
	defer func() { link.Close(); cancel(); <-done }()
	path := filepath.Join(b.TempDir(), "object")
	require.NoError(b, os.WriteFile(path, []byte(strings.Repeat("x", int(size))), 0o600))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(b, err)
	defer null.Close()
	r := comm.Request{Bucket: "b", Name: "o", Open: func() (comm.Object, error) {
		f, err := os.Open(path)
		return comm.Object{Body: f, Size: size}, err
	}}
	b.SetBytes(size)
	b.SetParallelism(8)
	b.ResetTimer()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			reply, err := link.Inline(b.Context(), r)
			if err != nil {
				b.Error(err)
				return
			}
			if held, ok := reply.Body.(io.WriterTo); ok {
				_, err = held.WriteTo(null)
			} else {
				_, err = comm.Copy(null, reply.Body)
			}
			if err != nil {
				b.Error(err)
			}
			reply.Body.Close()
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
