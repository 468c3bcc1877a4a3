package comm_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
)

// TestLimit: a transform that reads or writes may take longer than one that
// hangs.
func TestLimit(t *testing.T) {
	const limit = 2 * time.Second
	tests := []struct {
		name string
		t    comm.Transform
		err  string
	}{
		{"hangs", func(ctx context.Context, _ io.Writer, src io.Reader, _ comm.Info) error {
			_, _ = io.Copy(io.Discard, src)
			<-ctx.Done()
			return context.Cause(ctx)
		}, "no progress within the object timeout of 2s"},
		{"is slow", func(ctx context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
			for end := time.Now().Add(limit + limit/4); time.Now().Before(end); time.Sleep(limit / 100) {
				if _, err := io.CopyN(dst, src, 1); err != nil {
					return err
				}
			}
			return ctx.Err()
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 1000)))
			err := comm.Limit(tt.t, limit)(t.Context(), io.Discard, src, comm.Info{Size: 1000})
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
		})
	}
}
