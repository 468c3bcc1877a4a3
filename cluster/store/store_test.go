package store_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/store"
)

func sum(b []byte) string {
	d := xxhash.New()
	_, _ = d.Write(b)
	return hex.EncodeToString(d.Sum(nil))
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Config{Dir: dir})
	require.NoError(t, err)
	_, err = store.Open(store.Config{Dir: dir})
	require.ErrorIs(t, err, store.ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("data folder %s: in use by process %d", dir, os.Getpid()))
	require.NoError(t, s.Close())
	s, err = store.Open(store.Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpenRefusesConfig(t *testing.T) {
	_, err := store.Open(store.Config{})
	require.ErrorContains(t, err, "Config.Dir")
	_, err = store.Open(store.Config{Dir: t.TempDir(), Sync: 9})
	require.ErrorContains(t, err, "sync level 9")
}

func TestOpenRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	open(t, store.Config{Dir: dir}).Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tmp", "1", "41"), []byte("half"), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "trash", "2", "a%"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "trash", "2", "a%", "b"), []byte("old"), 0o644))
	open(t, store.Config{Dir: dir})
	require.Equal(t, []string{"etlbench.lock"}, files(t, dir))
}

// A folder given by mistake keeps its files.
func TestOpenRefusesForeignFolder(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "tmp", "thesis.tex")
	require.NoError(t, os.Mkdir(filepath.Dir(precious), 0o755))
	require.NoError(t, os.WriteFile(precious, nil, 0o644))
	_, err := store.Open(store.Config{Dir: dir})
	require.ErrorContains(t, err, "files of another program")
	require.FileExists(t, precious)
}

func TestOpenUnusableFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := store.Open(store.Config{Dir: filepath.Join(file, "data")})
	require.ErrorContains(t, err, "a part of the path is a file")

	for _, c := range []struct {
		why, want string
		fs        store.FS
	}{
		{"no xattrs", "no user extended attributes", store.FS{Setxattr: func(*os.File, string, []byte) error { return unix.ENOTSUP }}},
		{"read-only", "is not writable", store.FS{Write: func(*os.File, []byte) (int, error) { return 0, unix.EROFS }}},
		{"full", "free some", store.FS{Write: func(*os.File, []byte) (int, error) { return 0, unix.ENOSPC }}},
		{"full at the attribute", "free some", store.FS{Setxattr: func(*os.File, string, []byte) error { return unix.ENOSPC }}},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := store.Open(store.Config{Dir: dir, FS: c.fs})
			require.ErrorContains(t, err, "data folder "+dir)
			require.ErrorContains(t, err, c.want)
			require.Empty(t, files(t, filepath.Join(dir, "tmp")))
		})
	}
	open(t, store.Config{Dir: dir}) // the lock is free again
}

func TestClosed(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "o", "still readable")
	o, err := s.Open(bucket, "o")
	require.NoError(t, err)
	defer o.Close()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "a second time")
	b := make([]byte, 5)
	_, err = o.ReadAt(b, 0)
	require.NoError(t, err)

	_, err = s.Put(context.Background(), bucket, "o", nil, store.PutOptions{})
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Open(bucket, "o")
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Stat(bucket, "o")
	require.ErrorIs(t, err, store.ErrClosed)
	_, _, err = s.List(bucket, store.ListOptions{})
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Buckets()
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, s.Delete(bucket, "o"), store.ErrClosed)
	require.ErrorIs(t, s.CreateBucket(bucket), store.ErrClosed)
	require.ErrorIs(t, s.DestroyBucket(bucket), store.ErrClosed)
}

// Close lets a Put come to its end. Meanwhile other calls are refused, and do
// not wait: the Put's body could depend on them.
func TestCloseDuringPut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	body, w := io.Pipe()
	done := make(chan error, 2)
	go func() {
		_, err := s.Put(context.Background(), bucket, "o", body, store.PutOptions{Size: -1})
		done <- err
	}()
	_, err := w.Write([]byte("first half, "))
	require.NoError(t, err)
	go func() { done <- s.Close() }()
	require.Eventually(t, func() bool {
		o, err := s.Open(bucket, "x")
		require.Nil(t, o)
		return errors.Is(err, store.ErrClosed)
	}, 10*time.Second, time.Millisecond)
	_, err = store.Open(store.Config{Dir: dir})
	require.ErrorIs(t, err, store.ErrInUse)
	_, err = w.Write([]byte("second half"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	got, _ := get(t, open(t, store.Config{Dir: dir}), "o")
	require.Equal(t, "first half, second half", got)
}

// An object whose metadata is lost is there all the same, also in lists, and
// gets new metadata when it is next looked at.
func TestMetadataLost(t *testing.T) {
	const attr = "user.etlbench"
	for _, c := range []struct {
		why  string
		lose func(path string) error
	}{
		{"missing", func(path string) error { return unix.Removexattr(path, attr) }},
		{"empty", func(path string) error { return unix.Setxattr(path, attr, nil, 0) }},
		{"garbled", func(path string) error { return unix.Setxattr(path, attr, []byte("1\nx 00\n"), 0) }},
		{"larger than any", func(path string) error { return unix.Setxattr(path, attr, bytes.Repeat([]byte("x"), 3500), 0) }},
	} {
		t.Run(c.why, func(t *testing.T) {
			dir := t.TempDir()
			var log bytes.Buffer
			s := open(t, store.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
			put(t, s, "o", "first")
			want := put(t, s, "o", "hello world")
			path := filepath.Join(dir, "buckets", bucket, "o")
			mtime := time.Unix(1700000000, 0)
			require.NoError(t, os.Chtimes(path, mtime, mtime))

			require.NoError(t, c.lose(path))
			infos, _, err := s.List(bucket, store.ListOptions{Detail: true})
			require.NoError(t, err)
			want.Version, want.Atime = 1, mtime.UnixNano()
			require.Equal(t, []store.Info{want}, infos)

			require.NoError(t, c.lose(path))
			got, info := get(t, s, "o")
			require.Equal(t, "hello world", got)
			require.Equal(t, want, info)
			require.Equal(t, 2, strings.Count(log.String(), "without metadata"))
			_, err = s.Stat(bucket, "o")
			require.NoError(t, err)
			require.Equal(t, 2, strings.Count(log.String(), "without metadata"), "kept from now on")

			require.NoError(t, c.lose(path))
			require.Equal(t, int64(2), put(t, s, "o", "new").Version)
		})
	}
}
