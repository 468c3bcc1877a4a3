package comm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The wire of shm://. A connection is a unix socket of the pod and a memory file
// that the target makes, seals and passes over it. Objects and results lie in
// the memory; the socket carries frames that say where. One object at a time is
// on a connection.
//
// The memory is cut into pieces. Each belongs to one end, which alone touches
// it, until a frame gives it to the other. At the begin of an object the request
// pieces are the target's and the reply pieces the pod's. A result may also lie
// in request pieces: a pod that changes nothing gives them back as they are.

// Layout of the memory of a connection, bytes.
const (
	shmSlot    = 1 << 20   // an object of up to that size has one request piece
	shmPiece   = 256 << 10 // a larger one streams through request pieces of that size; reply pieces have it, too
	shmRequest = 2         // request pieces of a larger object
	shmReply   = 2         // reply pieces
	shmSize    = shmSlot + shmReply*shmPiece
)

// Kinds of frames.
const (
	// Of the target.
	shmObject = iota + 1 // begins an object: text is a shmMeta, and a piece of it as in shmData
	shmEnough            // ends an object of which no more is wanted
	shmData              // of both: the first n bytes of a piece; the last of the object or result if so; text of
	// a result's first is its size, when it is known
	shmFree // of both: a piece goes back
	// Of the pod. The last three end a result.
	shmReady     // the memory is there
	shmEnd       // of a result whose last byte is sent already, or that has none
	shmFailed    // text is the error, n its status
	shmDelivered // the result has gone to the stops; text is its size
)

const (
	shmHead    = 12        // bytes of a frame in front of its text
	maxShmText = 256 << 10 // bytes
)

// shmFrame is a message on the socket.
type shmFrame struct {
	kind, piece byte
	last        bool
	n           int
	text        []byte
}

// append encodes it.
func (f *shmFrame) append(b []byte) []byte {
	last := byte(0)
	if f.last {
		last = 1
	}
	b = append(b, f.kind, f.piece, last, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(f.n))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.text)))
	return append(b, f.text...)
}

// errShmWire is an end that does not keep to the protocol.
var errShmWire = errors.New("broken protocol of shm://")

// readShmFrame reads a frame. Its text is the caller's.
func readShmFrame(r *bufio.Reader) (f shmFrame, err error) {
	head, err := r.Peek(shmHead)
	if err != nil {
		return f, err
	}
	f = shmFrame{kind: head[0], piece: head[1], last: head[2] != 0, n: int(binary.LittleEndian.Uint32(head[4:]))}
	size := binary.LittleEndian.Uint32(head[8:])
	_, _ = r.Discard(shmHead) // it was peeked
	if size > maxShmText {
		return f, fmt.Errorf("%w: a text of %d bytes", errShmWire, size)
	}
	if size > 0 {
		f.text = make([]byte, size)
		_, err = io.ReadFull(r, f.text)
	}
	return f, err
}

// shmMeta is what a target tells of an object.
type shmMeta struct {
	size         int64 // bytes, -1 when unknown
	bucket, name string
	args, path   string // path: escaped; no bytes of the object are sent
	stops        string // comma-separated
}

func (m *shmMeta) fields() []*string {
	return []*string{&m.bucket, &m.name, &m.args, &m.path, &m.stops}
}

// append encodes it.
func (m *shmMeta) append(b []byte) []byte {
	b = binary.AppendVarint(b, m.size)
	for _, s := range m.fields() {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	return b
}

func parseShmMeta(text []byte) (m shmMeta, err error) {
	size, n := binary.Varint(text)
	if n <= 0 || size < -1 {
		return m, fmt.Errorf("%w: the size of an object", errShmWire)
	}
	m.size = size
	rest := string(text[n:])
	for _, s := range m.fields() {
		length, n := binary.Uvarint(text[len(text)-len(rest):])
		if n <= 0 || length > uint64(len(rest)-n) {
			return m, fmt.Errorf("%w: what tells of an object", errShmWire)
		}
		*s, rest = rest[n:n+int(length)], rest[n+int(length):]
	}
	return m, nil
}

// shmMemory is the memory of a connection, shmSize bytes, in pieces: request
// pieces first, then shmReply others.
type shmMemory struct {
	all          []byte
	small, large [][]byte // of an object of up to shmSlot bytes, and of others
}

func shmMemoryOf(all []byte) *shmMemory {
	m := &shmMemory{all: all, small: [][]byte{all[:shmSlot]}}
	for i := range shmRequest {
		m.large = append(m.large, all[i*shmPiece:][:shmPiece])
	}
	for i := range shmReply {
		piece := all[shmSlot+i*shmPiece:][:shmPiece]
		m.small, m.large = append(m.small, piece), append(m.large, piece)
	}
	return m
}

// pieces are those of an object of a size.
func (m *shmMemory) pieces(size int64) [][]byte {
	if size >= 0 && size <= shmSlot {
		return m.small
	}
	return m.large
}

// newShmMemory makes the memory, whose size nobody can change, and the file that
// the pod gets; the caller closes both.
func newShmMemory() (*shmMemory, *os.File, error) {
	fd, err := unix.MemfdCreate("etlbench-shm", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "shared memory")
	if err = f.Truncate(shmSize); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	var m *shmMemory
	if err == nil {
		m, err = mapShm(f)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("shared memory: %w", err)
	}
	return m, f, nil
}

// mapShm maps a memory file, once it is sure that it keeps its size: to touch
// what is no longer there would end the process.
func mapShm(f *os.File) (*shmMemory, error) {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("%w: the memory is not sealed (%d, %v)", errShmWire, seals, err)
	}
	if i, err := f.Stat(); err != nil || i.Size() != shmSize {
		return nil, fmt.Errorf("%w: the memory is not of %d bytes (%v)", errShmWire, shmSize, err)
	}
	all, err := unix.Mmap(int(f.Fd()), 0, shmSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return shmMemoryOf(all), nil
}

// free gives the memory back. Nobody may touch it any more.
func (m *shmMemory) free() { _ = unix.Munmap(m.all) }
