package api

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// List flags ("flags" of a ListMsg).
const (
	ListCached     = 1
	ListNameOnly   = 16
	ListNameSize   = 32
	ListPresent    = 64
	ListNonRecurse = 2048
	ListNoDirs     = 8192
)

// Entry flags.
const (
	EntryInCluster = 64
	EntryIsDir     = 256
)

// MaxPage is the most names that one page of a listing has.
const MaxPage = 10000

// ListMsg asks for one page of a bucket's listing.
type ListMsg struct {
	UUID       string `json:"uuid"`
	Props      string `json:"props"` // comma-separated; "" is name,size
	TimeFormat string `json:"time_format,omitempty"`
	Prefix     string `json:"prefix"`
	Token      string `json:"continuation_token"` // the last name of the page before
	StartAfter string `json:"start_after,omitempty"`
	Flags      uint64 `json:"flags,string"`
	PageSize   int64  `json:"pagesize"` // 0: MaxPage
}

// ListPage is one page. Token is "" on the last one.
type ListPage struct {
	UUID    string       `json:"uuid"`
	Token   string       `json:"continuation_token"`
	Entries []*ListEntry `json:"entries"`
	Flags   uint32       `json:"flags"`
}

// ListEntry is one object. Only Name is always there.
type ListEntry struct {
	Name     string `json:"name"`
	Checksum string `json:"checksum,omitempty"`
	Atime    string `json:"atime,omitempty"`
	Version  string `json:"version,omitempty"`
	Location string `json:"location,omitempty"`
	Custom   string `json:"custom-md,omitempty"`
	Size     int64  `json:"size,string,omitempty"`
	Copies   int16  `json:"copies,omitempty"`
	Flags    uint16 `json:"flags,omitempty"`
}

// AppendMsgpack appends the page as clients of the Go and Python SDK read it.
func (p *ListPage) AppendMsgpack(b []byte) []byte {
	b = msgp.AppendMapHeader(b, 4)
	b = msgp.AppendString(msgp.AppendString(b, "UUID"), p.UUID)
	b = msgp.AppendString(msgp.AppendString(b, "ContinuationToken"), p.Token)
	b = msgp.AppendString(b, "Entries")
	if p.Entries == nil {
		b = msgp.AppendNil(b)
	} else {
		b = msgp.AppendArrayHeader(b, uint32(len(p.Entries)))
	}
	for _, e := range p.Entries {
		b = e.appendMsgpack(b)
	}
	return msgp.AppendUint32(msgp.AppendString(b, "Flags"), p.Flags)
}

func (e *ListEntry) appendMsgpack(b []byte) []byte {
	texts := [...]struct{ key, value string }{
		{"cs", e.Checksum}, {"a", e.Atime}, {"v", e.Version}, {"t", e.Location}, {"m", e.Custom},
	}
	ints := [...]struct {
		key   string
		value int64
	}{{"s", e.Size}, {"c", int64(e.Copies)}, {"f", int64(e.Flags)}}
	n := uint32(1)
	for _, t := range texts {
		if t.value != "" {
			n++
		}
	}
	for _, i := range ints {
		if i.value != 0 {
			n++
		}
	}
	b = msgp.AppendMapHeader(b, n)
	b = msgp.AppendString(msgp.AppendString(b, "n"), e.Name)
	for _, t := range texts {
		if t.value != "" {
			b = msgp.AppendString(msgp.AppendString(b, t.key), t.value)
		}
	}
	for _, i := range ints {
		if i.value != 0 {
			b = msgp.AppendInt64(msgp.AppendString(b, i.key), i.value)
		}
	}
	return b
}

// ParseMsgpackPage reads what AppendMsgpack writes; unknown keys are skipped.
func ParseMsgpackPage(b []byte) (*ListPage, error) {
	p := &ListPage{}
	rest, err := readMap(b, func(key string, b []byte) (_ []byte, err error) {
		switch key {
		case "UUID":
			p.UUID, b, err = msgp.ReadStringBytes(b)
		case "ContinuationToken":
			p.Token, b, err = msgp.ReadStringBytes(b)
		case "Entries":
			p.Entries, b, err = readEntries(b)
		case "Flags":
			p.Flags, b, err = msgp.ReadUint32Bytes(b)
		default:
			b, err = msgp.Skip(b)
		}
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("list page: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("list page: %d bytes too many", len(rest))
	}
	return p, nil
}

func readEntries(b []byte) ([]*ListEntry, []byte, error) {
	if msgp.IsNil(b) {
		b, err := msgp.ReadNilBytes(b)
		return nil, b, err
	}
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return nil, b, err
	}
	// The count is the sender's word: an entry takes at least 4 bytes.
	entries := make([]*ListEntry, 0, min(int(n), len(b)/4))
	for range n {
		e := &ListEntry{}
		if b, err = readMap(b, e.readKey); err != nil {
			return nil, b, err
		}
		entries = append(entries, e)
	}
	return entries, b, nil
}

func (e *ListEntry) readKey(key string, b []byte) (_ []byte, err error) {
	switch key {
	case "n":
		e.Name, b, err = msgp.ReadStringBytes(b)
	case "cs":
		e.Checksum, b, err = msgp.ReadStringBytes(b)
	case "a":
		e.Atime, b, err = msgp.ReadStringBytes(b)
	case "v":
		e.Version, b, err = msgp.ReadStringBytes(b)
	case "t":
		e.Location, b, err = msgp.ReadStringBytes(b)
	case "m":
		e.Custom, b, err = msgp.ReadStringBytes(b)
	case "s":
		e.Size, b, err = msgp.ReadInt64Bytes(b)
	case "c":
		e.Copies, b, err = msgp.ReadInt16Bytes(b)
	case "f":
		e.Flags, b, err = msgp.ReadUint16Bytes(b)
	default:
		b, err = msgp.Skip(b)
	}
	return b, err
}

func readMap(b []byte, key func(string, []byte) ([]byte, error)) ([]byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, err
	}
	for range n {
		var k string
		if k, b, err = msgp.ReadStringBytes(b); err != nil {
			return b, err
		}
		if b, err = key(k, b); err != nil {
			return b, fmt.Errorf("%q: %w", k, err)
		}
	}
	return b, nil
}
