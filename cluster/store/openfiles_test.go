package store_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/store"
)

func TestSmallObjectsShareAFile(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "a", "one")
	before := openFiles(t)
	for range 10 {
		o, err := s.Open(bucket, "a")
		require.NoError(t, err)
		defer o.Close()
		require.Nil(t, o.File())
	}
	require.Equal(t, before+1, openFiles(t))
	put(t, s, "large", strings.Repeat("x", 64<<10+1))
	o, err := s.Open(bucket, "large")
	require.NoError(t, err)
	require.NotNil(t, o.File())
	require.NoError(t, o.Close())
	require.Equal(t, before+1, openFiles(t), "only the small one stays open")
}

// TestChangesAreSeen: what is kept open is never given in place of what is
// there, whoever has changed it.
func TestChangesAreSeen(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "a", "one")
	path := pathOf(t, s, "a")
	check := func(want string, version int64) {
		t.Helper()
		body, i := get(t, s, "a")
		require.Equal(t, want, body)
		require.Equal(t, version, i.Version)
		require.EqualValues(t, len(want), i.Size)
	}
	check("one", 1)
	put(t, s, "a", "two")
	check("two", 2)
	require.NoError(t, os.WriteFile(path, []byte("three"), 0o644))
	check("three", 2)
	require.NoError(t, unix.Removexattr(path, "user.etlbench"))
	check("three", 1)
	require.NoError(t, os.Remove(path))
	_, err := s.Open(bucket, "a")
	require.ErrorIs(t, err, store.ErrNotExist)
	put(t, s, "a", "four")
	check("four", 1)
	require.NoError(t, s.Delete(bucket, "a"))
	_, err = s.Open(bucket, "a")
	require.ErrorIs(t, err, store.ErrNotExist)
	put(t, s, "a", "five")
	check("five", 1)
	require.NoError(t, s.DestroyBucket(bucket))
	_, err = s.Open(bucket, "a")
	require.ErrorIs(t, err, store.ErrBucketNotExist)
	require.NoError(t, s.CreateBucket(bucket))
	_, err = s.Open(bucket, "a")
	require.ErrorIs(t, err, store.ErrNotExist)
}

func TestCustomMetadataIsNotShared(t *testing.T) {
	s := open(t, store.Config{})
	_, err := s.Put(context.Background(), bucket, "a", strings.NewReader(""), store.PutOptions{Custom: map[string]string{"k": "v"}})
	require.NoError(t, err)
	for range 2 {
		i, err := s.Stat(bucket, "a")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"k": "v"}, i.Custom)
		i.Custom["k"] = "changed"
	}
}

// TestOpenFilesAreBounded: many objects, few files, and none once the store is
// closed.
func TestOpenFilesAreBounded(t *testing.T) {
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	few := limit
	few.Cur = 256
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	s := open(t, store.Config{})
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	before := openFiles(t)
	for i := range 300 {
		put(t, s, fmt.Sprint(i), "x")
		_, _ = get(t, s, fmt.Sprint(i))
	}
	require.LessOrEqual(t, openFiles(t)-before, 64)
	require.Greater(t, openFiles(t)-before, 8)
	o, err := s.Open(bucket, "299")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	b := make([]byte, 1)
	_, err = o.ReadAt(b, 0) // objects that are open stay readable
	require.NoError(t, err)
	require.NoError(t, o.Close())
	require.LessOrEqual(t, openFiles(t), before)
}

func pathOf(t *testing.T, s *store.Store, name string) string {
	t.Helper()
	o, err := s.Open(bucket, name)
	require.NoError(t, err)
	defer o.Close()
	return o.Path()
}

// TestReadersDuringChanges: readers see one whole object or none while it is
// overwritten, and removed with its bucket.
func TestReadersDuringChanges(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "a", strings.Repeat("a", 1000))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				o, err := s.Open(bucket, "a")
				if err != nil {
					continue
				}
				b := make([]byte, o.Size)
				_, err = o.ReadAt(b, 0)
				if err != nil || strings.Count(string(b), string(b[:1])) != len(b) || len(b) != int(b[0]-'a')+1000 {
					t.Errorf("read %d bytes of %q: %v", len(b), b[:1], err)
				}
				_ = o.Close()
			}
		})
	}
	for i := range 200 {
		c := i % 26
		put(t, s, "a", strings.Repeat(string(rune('a'+c)), 1000+c))
		if i%20 == 19 {
			require.NoError(t, s.DestroyBucket(bucket))
			_, err := s.Open(bucket, "a")
			require.ErrorIs(t, err, store.ErrBucketNotExist)
			require.NoError(t, s.CreateBucket(bucket))
		}
	}
	close(stop)
	readers.Wait()
}
