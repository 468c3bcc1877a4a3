package transformers

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"

	"github.com/etlbench/etlbench/cluster/comm"
)

// newMD5 returns the transform that answers the MD5 of its input as 32
// lower-case hexadecimal digits, without a newline. It compares checksums of
// benchmark data and protects nothing.
func newMD5() comm.Transform {
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		sum := md5.New()
		if err := copyBlocks(ctx, sum, src, o.Size); err != nil {
			return err
		}
		var digits [2 * md5.Size]byte
		hex.Encode(digits[:], sum.Sum(nil))
		_, err := dst.Write(digits[:])
		return err
	}
}
