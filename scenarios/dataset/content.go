package dataset

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/etlbench/etlbench/scenarios/draw"
)

const (
	wordBytes  = 8
	blockBytes = 4096 // the unit in which content is part random, part zeros
	blockWords = blockBytes / wordBytes
	chunkBytes = 16 * blockBytes // what WriteTo hands over at once
)

// content is the reader behind Content.
type content struct {
	key         uint64
	off, size   int64
	randomWords int // of each block; the rest are zero
	block       [blockBytes]byte
	blockIndex  int64 // which block is in block; -1 none
}

var _ io.WriterTo = (*content)(nil)

// Content is the content of a generated object: size bytes that depend on
// seed, name and compressible alone. With
//
//	key     = XXH64(seed as 8 little-endian bytes ‖ name)
//	word(i) = SplitMix64's output at state key + (i+1)·0x9e3779b97f4a7c15
//	r       = round(512·(1 − compressible))
//
// bytes 8i … 8i+7 are word(i) in little-endian order where i mod 512 < r, and
// zero elsewhere: of each block of 4 KiB, the share compressible is zeros.
// compressible outside 0 to 1 is taken as the nearer end, and a negative
// size as 0.
//
// The reader also implements io.WriterTo. Read does not allocate. A reader is
// not safe for concurrent use; two of the same content are independent.
func Content(seed uint64, name string, size int64, compressible float64) io.Reader {
	share := 1 - min(max(compressible, 0), 1)
	return &content{
		key:         draw.Key(seed, name),
		size:        max(size, 0),
		randomWords: int(math.Round(blockWords * share)),
		blockIndex:  -1,
	}
}

// fill makes block number index in b, which has blockBytes.
func (c *content) fill(b []byte, index int64) {
	random := b[:c.randomWords*wordBytes]
	i := uint64(index) * blockWords
	for ; len(random) >= wordBytes; random = random[wordBytes:] {
		binary.LittleEndian.PutUint64(random, draw.Word(c.key, i))
		i++
	}
	clear(b[c.randomWords*wordBytes : blockBytes])
}

// Read fills p, and returns io.EOF only once nothing is left.
func (c *content) Read(p []byte) (int, error) {
	if c.off >= c.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.size-c.off)]
	n := len(p)
	for len(p) > 0 {
		index, within := c.off/blockBytes, int(c.off%blockBytes)
		done := 0
		if within == 0 && len(p) >= blockBytes {
			c.fill(p, index)
			done = blockBytes
		} else {
			if c.blockIndex != index {
				c.fill(c.block[:], index)
				c.blockIndex = index
			}
			done = copy(p, c.block[within:])
		}
		p = p[done:]
		c.off += int64(done)
	}
	return n, nil
}

// WriteTo writes what is left of the content to w.
func (c *content) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, min(chunkBytes, c.size-c.off))
	var written int64
	for {
		n, err := c.Read(buf)
		if n == 0 || err != nil {
			return written, nil // Read fails with io.EOF only
		}
		m, err := w.Write(buf[:n])
		written += int64(m)
		if err != nil {
			return written, err
		}
		if m != n {
			return written, io.ErrShortWrite
		}
	}
}
