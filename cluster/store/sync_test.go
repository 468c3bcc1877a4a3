package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/store"
)

// calls records syncs in their order, in place of making them.
type calls struct {
	hold chan struct{} // if not nil, directory syncs wait until it is closed

	mu   sync.Mutex // guards the fields below
	seen []string   // "file", or a directory relative to the bucket's
	err  error      // what directory syncs return
}

func (c *calls) fs(dir string) store.FS {
	return store.FS{
		Datasync: func(*os.File) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen = append(c.seen, "file")
			return nil
		},
		SyncDir: func(path string) error {
			if c.hold != nil {
				<-c.hold
			}
			rel, err := filepath.Rel(filepath.Join(dir, "buckets", bucket), path)
			if err != nil || strings.HasPrefix(rel, "..") {
				return err // of the store or the bucket, not of an object
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen = append(c.seen, rel)
			return c.err
		},
	}
}

func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

func TestSyncNone(t *testing.T) {
	dir, c := t.TempDir(), &calls{}
	s := open(t, store.Config{Dir: dir, Sync: store.SyncNone, FS: c.fs(dir)})
	put(t, s, "a/b", "x")
	require.NoError(t, s.Delete(bucket, "a/b"))
	require.NoError(t, s.Close())
	require.Empty(t, c.take())
}

// Under SyncData the reply waits for the file and for no directory, which is
// synced soon after by itself.
func TestSyncData(t *testing.T) {
	dir, c := t.TempDir(), &calls{}
	open(t, store.Config{Dir: dir, Sync: store.SyncNone}).Close()
	c.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(c.hold) })
	open := func() (*store.Store, error) {
		// Opening syncs the data folder itself: let that pass.
		fs := c.fs(dir)
		syncDir := fs.SyncDir
		fs.SyncDir = func(path string) error {
			if path == dir {
				return nil
			}
			return syncDir(path)
		}
		return store.Open(store.Config{Dir: dir, FS: fs})
	}
	s, err := open()
	require.NoError(t, err)
	defer func() { release(); require.NoError(t, s.Close()) }()
	// With every directory sync blocked, a Put that waited for one would hang.
	put(t, s, "a/b", "x")
	require.Equal(t, []string{"file"}, c.take())
	require.NoError(t, s.Delete(bucket, "a/b"))
	put(t, s, "a/c", "x")
	require.Equal(t, []string{"file"}, c.take())
	release()
	require.Eventually(t, func() bool {
		seen := strings.Join(c.take(), " ")
		return strings.Contains(seen, "a%")
	}, 10*time.Second, time.Millisecond)
}

// Directory syncs of many Puts are made together.
func TestSyncDataBatches(t *testing.T) {
	dir, c := t.TempDir(), &calls{}
	s := open(t, store.Config{Dir: dir, FS: c.fs(dir)})
	begin := time.Now()
	for i := range 100 {
		put(t, s, fmt.Sprintf("d/%d", i), "x")
	}
	require.NoError(t, s.Close())
	batches := int(time.Since(begin)/(50*time.Millisecond)) + 1
	files, dirs := count(c.take())
	require.Equal(t, 100, files)
	require.Positive(t, dirs["d%"])
	require.Positive(t, dirs["."], "the new directory's own name")
	require.LessOrEqual(t, dirs["d%"], batches)
	require.Less(t, dirs["d%"], 50)
}

func count(seen []string) (files int, dirs map[string]int) {
	dirs = map[string]int{}
	for _, c := range seen {
		if c == "file" {
			files++
		} else {
			dirs[c]++
		}
	}
	return files, dirs
}

func TestSyncFull(t *testing.T) {
	dir, c := t.TempDir(), &calls{}
	s := open(t, store.Config{Dir: dir, Sync: store.SyncFull, FS: c.fs(dir)})
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"put", func() { put(t, s, "o", "x") }, []string{"file", "."}},
		{"put into new directories", func() { put(t, s, "a/b/o", "x") }, []string{"file", "a%/b%", "a%", "."}},
		{"put beside it", func() { put(t, s, "a/b/p", "x") }, []string{"file", "a%/b%"}},
		{"overwrite", func() { put(t, s, "a/b/p", "y") }, []string{"file", "a%/b%"}},
		{"put into one new directory", func() { put(t, s, "a/c/p", "x") }, []string{"file", "a%/c%", "a%"}},
		{"delete", func() { require.NoError(t, s.Delete(bucket, "a/b/p")) }, []string{"a%/b%"}},
		{"delete with directory", func() { require.NoError(t, s.Delete(bucket, "a/b/o")) }, []string{"a%"}},
		{"delete with directories", func() { require.NoError(t, s.Delete(bucket, "a/c/p")) }, []string{"."}},
	} {
		step.do()
		require.Equal(t, step.want, c.take(), step.what)
	}
}

// What the background could not sync is told at the end.
func TestSyncDataErrorIsReturnedByClose(t *testing.T) {
	dir, c := t.TempDir(), &calls{err: &os.PathError{Op: "fsync", Path: "d", Err: unix.EIO}}
	s, err := store.Open(store.Config{Dir: dir, FS: c.fs(dir)})
	require.NoError(t, err)
	c.mu.Lock()
	c.err = nil
	c.mu.Unlock()
	require.NoError(t, s.CreateBucket(bucket))
	c.mu.Lock()
	c.err = unix.EIO
	c.mu.Unlock()
	put(t, s, "o", "x")
	require.ErrorIs(t, s.Close(), unix.EIO)
}

func TestSyncFullErrorIsReturnedByPut(t *testing.T) {
	dir, c := t.TempDir(), &calls{err: unix.EIO}
	s := open(t, store.Config{Dir: dir, Sync: store.SyncFull, FS: c.fs(dir)})
	_, err := s.Put(t.Context(), bucket, "o", strings.NewReader(""), store.PutOptions{})
	require.ErrorIs(t, err, unix.EIO)
}

// Directories that go between the rename and the sync, because the object is
// deleted again or the bucket destroyed, do not make the Put fail.
func TestSyncFullOfVanishedDirectory(t *testing.T) {
	for _, c := range []struct {
		gone string
		want []string
	}{
		{"a%/b%", []string{"file", "a%/b%", "a%", "."}},
		{"a%", []string{"file", "a%/b%", "a%", "."}},
		{".", []string{"file", "a%/b%", "a%", "."}},
	} {
		dir, calls := t.TempDir(), &calls{}
		fs := calls.fs(dir)
		record := fs.SyncDir
		root := filepath.Join(dir, "buckets", bucket)
		fs.SyncDir = func(path string) error {
			if path == filepath.Join(root, "a%", "b%") {
				require.NoError(t, os.RemoveAll(filepath.Join(root, c.gone)))
			}
			_, err := os.Stat(path)
			return errors.Join(record(path), err)
		}
		s := open(t, store.Config{Dir: dir, Sync: store.SyncFull, FS: fs})
		put(t, s, "a/b/o", "x")
		require.Equal(t, c.want, calls.take(), c.gone)
	}
}

func TestParseSync(t *testing.T) {
	for _, y := range []store.Sync{store.SyncNone, store.SyncData, store.SyncFull} {
		got, err := store.ParseSync(y.String())
		require.NoError(t, err)
		require.Equal(t, y, got)
	}
	for _, bad := range []string{"", "Full", "always", "Sync(7)"} {
		_, err := store.ParseSync(bad)
		require.ErrorContains(t, err, "use none, data or full")
	}
	require.Equal(t, "Sync(7)", store.Sync(7).String())
}
