package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/store"
)

const bucket = "b"

// childEnv names what this test binary does instead of testing when it is
// started as a child: see the functions in children.
const (
	childEnv = "ETLBENCH_STORE_TEST_CHILD"
	dirEnv   = "ETLBENCH_STORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	children := map[string]func(dir string) error{
		"put":   putUntilKilled,
		"limit": putOverLimit,
	}
	if child, ok := children[os.Getenv(childEnv)]; ok {
		if err := child(os.Getenv(dirEnv)); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// open opens a store with one empty bucket, in a new folder unless cfg has
// one, and closes it with the test.
func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := store.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	if err := s.CreateBucket(bucket); !errors.Is(err, store.ErrBucketExists) {
		require.NoError(t, err)
	}
	return s
}

func put(t testing.TB, s *store.Store, name, body string) store.Info {
	t.Helper()
	info, err := s.Put(context.Background(), bucket, name, bytes.NewReader([]byte(body)), store.PutOptions{Size: int64(len(body))})
	require.NoError(t, err)
	return info
}

// get returns an object's bytes and what the store says of them.
func get(t testing.TB, s *store.Store, name string) (string, store.Info) {
	t.Helper()
	o, err := s.Open(bucket, name)
	require.NoError(t, err)
	defer o.Close()
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size))
	require.NoError(t, err)
	return string(b), o.Info
}

func list(t testing.TB, s *store.Store, o store.ListOptions) []string {
	t.Helper()
	infos, _, err := s.List(bucket, o)
	require.NoError(t, err)
	return namesOf(infos)
}

func namesOf(infos []store.Info) []string {
	names := make([]string, 0, len(infos))
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names
}

// files lists all files below dir, relative to it.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			found = append(found, rel)
		}
		return err
	}))
	return found
}

// body makes size bytes that tell which seed they are of, so that a mixture
// of two bodies is none. Size is at least 16.
func body(seed uint64, size int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	rest := make([]byte, size-len(b))
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(rest)
	return append(b, rest...)
}

// isBody tells whether b is what body made, all of it.
func isBody(b []byte) bool {
	if len(b) < 16 || binary.LittleEndian.Uint64(b[8:]) != uint64(len(b)) {
		return false
	}
	return bytes.Equal(b, body(binary.LittleEndian.Uint64(b), len(b)))
}
