package transformers

import (
	"context"
	"io"

	"github.com/etlbench/etlbench/cluster/comm"
)

// newEcho returns the transform whose output is its input.
func newEcho() comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		return copyBlocks(ctx, dst, src, o.Size)
	}
}
