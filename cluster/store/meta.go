package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// xattrName is the extended attribute that holds an object's metadata.
	xattrName = "user.etlbench"
	// maxMeta bounds the encoded metadata, in bytes. ext4 gives all
	// attributes of a file one block of 4 KiB, and says "no space left on
	// device" when they do not fit, which must not pass for a full disk.
	maxMeta = 3 << 10

	// The keys are short because ext4 keeps about 64 bytes in the inode itself;
	// one byte more costs every small object a block of its own.
	metaFormat = "1" // first line
	keySum     = "x" // XXH64
	keyVersion = "v"
	keyAtime   = "t" // Unix ns
	keyKept    = "s" // type and value of a checksum of another type
	keyCustom  = "c"
)

// meta is what is known of an object besides its name and bytes. The size is
// left out on purpose: a file that a power failure cut short under SyncNone
// keeps its old checksum, which then tells.
type meta struct {
	checksum string   // of OwnChecksum's type
	kept     Checksum // of another type; zero if there is none
	version  int64
	atime    int64             // Unix ns
	custom   map[string]string // nil if empty
}

// encode writes one line per fact, the custom ones sorted and quoted.
func (m meta) encode() ([]byte, error) {
	b := fmt.Appendf(nil, "%s\n%s %s\n%s %d\n%s %d\n",
		metaFormat, keySum, m.checksum, keyVersion, m.version, keyAtime, m.atime)
	if m.kept.Type != "" && m.kept.Type != OwnChecksum {
		b = fmt.Appendf(b, "%s %s %s\n", keyKept, m.kept.Type, m.kept.Value)
	}
	for _, k := range slices.Sorted(maps.Keys(m.custom)) {
		b = fmt.Appendf(b, "%s %s %s\n", keyCustom, strconv.Quote(k), strconv.Quote(m.custom[k]))
	}
	if len(b) > maxMeta {
		return nil, fmt.Errorf("%w: all metadata takes %d bytes, at most %d are possible", ErrCustom, len(b), maxMeta)
	}
	return b, nil
}

// parseMeta reads what encode wrote. Anything else is an error, which callers
// treat like metadata that is not there.
func parseMeta(b []byte) (meta, error) {
	var m meta
	fields, custom, ok := splitMeta(string(b))
	if !ok {
		return meta{}, errors.New("metadata: not in a known format")
	}
	m.checksum = fields[0]
	if !isXXH64(m.checksum) {
		return meta{}, fmt.Errorf("metadata: checksum %q", m.checksum)
	}
	var err error
	if m.version, err = strconv.ParseInt(fields[1], 10, 64); err != nil || m.version < 1 {
		return meta{}, fmt.Errorf("metadata: version %q", fields[1])
	}
	if m.atime, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return meta{}, fmt.Errorf("metadata: atime %q", fields[2])
	}
	if len(custom) > 0 {
		if kept, ok := strings.CutPrefix(custom[0], keyKept+" "); ok {
			m.kept.Type, m.kept.Value, _ = strings.Cut(kept, " ")
			custom = custom[1:]
		}
	}
	if m.custom, err = parseCustom(custom); err != nil {
		return meta{}, err
	}
	return m, nil
}

// splitMeta returns the values of the fixed lines and the lines after them.
func splitMeta(text string) (fields [3]string, custom []string, ok bool) {
	text, ended := strings.CutSuffix(text, "\n")
	lines := strings.Split(text, "\n")
	if !ended || len(lines) < 1+len(fields) || lines[0] != metaFormat {
		return fields, nil, false
	}
	for i, key := range []string{keySum, keyVersion, keyAtime} {
		if fields[i], ok = strings.CutPrefix(lines[1+i], key+" "); !ok {
			return fields, nil, false
		}
	}
	return fields, lines[1+len(fields):], true
}

func parseCustom(lines []string) (map[string]string, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(lines))
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, keyCustom+" ")
		quoted, err := strconv.QuotedPrefix(rest)
		if !ok || err != nil || !strings.HasPrefix(rest[len(quoted):], " ") {
			return nil, fmt.Errorf("metadata: line %q", line)
		}
		key, errKey := strconv.Unquote(quoted)
		value, errValue := strconv.Unquote(rest[len(quoted)+1:])
		if err := errors.Join(errKey, errValue); err != nil {
			return nil, fmt.Errorf("metadata: line %q: %w", line, err)
		}
		m[key] = value
	}
	return m, nil
}

func isXXH64(s string) bool {
	return len(s) == 16 && strings.Trim(s, "0123456789abcdef") == ""
}
