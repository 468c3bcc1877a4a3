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

// OwnChecksum is the type of a checksum that every object is stored with:
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

// digests sums a body as it passes: always with the own type, and with those
// that are expected or to be kept.
type digests struct {
	own    *xxhash.Digest
	others map[string]hash.Hash // by type
}

// newDigests prepares for checksums of some types, of which "" is none.
func newDigests(types ...string) (*digests, error) {
	d := &digests{own: xxhash.New(), others: map[string]hash.Hash{}}
	for _, t := range types {
		if err := CheckChecksumType(t); err != nil {
			return nil, err
		}
		switch t {
		case "md5":
			d.others[t] = md5.New()
		case "crc32c":
			d.others[t] = crc32.New(crc32.MakeTable(crc32.Castagnoli))
		case "sha256":
			d.others[t] = sha256.New()
		case "sha512":
			d.others[t] = sha512.New()
		}
	}
	return d, nil
}

// CheckChecksumType refuses types that are not known; "" is one.
func CheckChecksumType(t string) error {
	switch t {
	case "", "none", "xxhash", OwnChecksum, "md5", "crc32c", "sha256", "sha512":
		return nil
	}
	return fmt.Errorf("%w %q: use one of xxhash, xxhash2, md5, crc32c, sha256, sha512, none", ErrChecksumType, t)
}

func (d *digests) write(p []byte) {
	// Writing to a hash never fails.
	_, _ = d.own.Write(p)
	for _, h := range d.others {
		_, _ = h.Write(p)
	}
}

// sum is the checksum of a type of what was written.
func (d *digests) sum(t string) Checksum {
	switch h := d.others[t]; {
	case t == "none":
		return Checksum{Type: t}
	case h != nil:
		return Checksum{Type: t, Value: hex.EncodeToString(h.Sum(nil))}
	}
	own := Checksum{Type: OwnChecksum, Value: hex.EncodeToString(d.own.Sum(nil))}
	if t == "xxhash" { // which clients of 2023 know, and not the other name
		own.Type = t
	}
	return own
}

// verify compares with an expected checksum, of a type that newDigests was
// given. A type alone asks for nothing.
func (d *digests) verify(expect Checksum) error {
	got := d.sum(expect.Type).Value
	if expect.Value == "" || expect.Type == "none" || strings.EqualFold(got, expect.Value) {
		return nil
	}
	return &ChecksumError{Type: expect.Type, Want: expect.Value, Got: got}
}
