package store

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// OwnChecksum is the type of the checksum that every object is stored with:
// XXH64 with seed 0. The type "xxhash" names the same function.
const OwnChecksum = "xxhash2"

// Checksum is a checksum of an object's bytes.
type Checksum struct {
	// Type is xxhash, xxhash2, md5, crc32c, sha256, sha512, or none.
	Type string
	// Value is the sum in hex, lower case where the store made it; XXH64 has
	// exactly 16 digits.
	Value string
}

// digests sums a body as it passes: always with the own type, and with the
// expected one where that is another.
type digests struct {
	own   *xxhash.Digest
	other hash.Hash // nil if the own one serves
}

// newDigests prepares for an expected checksum, which may be empty.
func newDigests(expect Checksum) (*digests, error) {
	d := &digests{own: xxhash.New()}
	switch expect.Type {
	case "":
		if expect.Value != "" {
			return nil, fmt.Errorf("%w: a value without a type", ErrChecksumType)
		}
	case "none", "xxhash", OwnChecksum:
	case "md5":
		d.other = md5.New()
	case "crc32c":
		d.other = crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "sha256":
		d.other = sha256.New()
	case "sha512":
		d.other = sha512.New()
	default:
		return nil, fmt.Errorf("%w %q: use one of xxhash, xxhash2, md5, crc32c, sha256, sha512, none",
			ErrChecksumType, expect.Type)
	}
	return d, nil
}

func (d *digests) write(p []byte) {
	// Writing to a hash never fails.
	_, _ = d.own.Write(p)
	if d.other != nil {
		_, _ = d.other.Write(p)
	}
}

// sum is the own checksum of what was written.
func (d *digests) sum() Checksum {
	return Checksum{Type: OwnChecksum, Value: hex.EncodeToString(d.own.Sum(nil))}
}

// verify compares with the expected checksum that newDigests was given. A
// type alone asks for nothing.
func (d *digests) verify(expect Checksum) error {
	if expect.Value == "" || expect.Type == "none" {
		return nil
	}
	got := d.sum().Value
	if d.other != nil {
		got = hex.EncodeToString(d.other.Sum(nil))
	}
	if strings.EqualFold(got, expect.Value) {
		return nil
	}
	return &ChecksumError{Type: expect.Type, Want: expect.Value, Got: got}
}
