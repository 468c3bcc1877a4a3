package results

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The cookies say: version 2, with words of variable length.
const (
	cookiePlain  = uint32(hdrhistogram.V2EncodingCookieBase | 0x10)
	cookiePacked = uint32(hdrhistogram.V2CompressedEncodingCookieBase | 0x10)
)

// encoder is what it takes to encode a histogram, kept for the next one: a
// deflater of its own for each, as the library has it, is 1.3 MB a line.
type encoder struct {
	plain   []byte
	packed  bytes.Buffer
	deflate *zlib.Writer
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.deflate, _ = zlib.NewWriterLevel(&e.packed, zlib.BestCompression) // there is such a level
	return e
}}

// EncodeHistogram gives the text that EncodeV2 of h gives, byte for byte: the V2
// encoding of HdrHistogram, compressed, in base64. See DecodeHistogram.
func EncodeHistogram(h *hdrhistogram.Histogram) (string, error) {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.plain = appendPlain(e.plain[:0], h.Export())
	e.packed.Reset()
	e.packed.Write(make([]byte, 8))
	e.deflate.Reset(&e.packed)
	_, err := e.deflate.Write(e.plain)
	if err := errors.Join(err, e.deflate.Close()); err != nil {
		return "", err
	}
	data := e.packed.Bytes()
	binary.BigEndian.PutUint32(data, cookiePacked)
	binary.BigEndian.PutUint32(data[4:], uint32(len(data)-8))
	return base64.StdEncoding.EncodeToString(data), nil
}

// appendPlain appends the header and the counts.
func appendPlain(b []byte, s *hdrhistogram.Snapshot) []byte {
	b = binary.BigEndian.AppendUint32(b, cookiePlain)
	b = binary.BigEndian.AppendUint32(b, 0) // length of the counts: below
	b = binary.BigEndian.AppendUint32(b, 0) // offset of the first
	b = binary.BigEndian.AppendUint32(b, uint32(s.SignificantFigures))
	b = binary.BigEndian.AppendUint64(b, uint64(s.LowestTrackableValue))
	b = binary.BigEndian.AppendUint64(b, uint64(s.HighestTrackableValue))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(1)) // a count counts one
	head := len(b)
	b = appendCounts(b, s.Counts)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-head))
	return b
}

// appendCounts appends the counts up to the last that is not 0, a run of zeros as
// its negative length. HdrHistogram's ZigZag LEB128 is Go's varint where that
// has no more than 8 bytes, as below 2^55 operations.
func appendCounts(b []byte, counts []int64) []byte {
	zeros, some := int64(0), false
	for _, n := range counts {
		if n == 0 {
			zeros++
			continue
		}
		switch zeros {
		case 0:
		case 1:
			b = binary.AppendVarint(b, 0)
		default:
			b = binary.AppendVarint(b, -zeros)
		}
		b = binary.AppendVarint(b, n)
		zeros, some = 0, true
	}
	if !some {
		b = binary.AppendVarint(b, 0)
	}
	return b
}
