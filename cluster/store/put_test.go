package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/store"
)

func TestPutAndOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir, Now: func() time.Time { return time.Unix(1, 5) }})
	for _, size := range []int{0, 1, 4096, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 + 7} {
		want := strings.Repeat("x", size)
		info, err := s.Put(context.Background(), bucket, "d/o", iotest.HalfReader(strings.NewReader(want)), store.PutOptions{
			Size: -1, Custom: map[string]string{"k": "v"}, SkipVersion: true,
		})
		require.NoError(t, err)
		require.Equal(t, int64(size), info.Size)
		require.Equal(t, int64(1), info.Version)
		require.Equal(t, int64(1e9+5), info.Atime)
		got, same := get(t, s, "d/o")
		require.Equal(t, want, got)
		require.Equal(t, info, same)
		same, err = s.Stat(bucket, "d/o")
		require.NoError(t, err)
		require.Equal(t, info, same)
	}
	o, err := s.Open(bucket, "d/o")
	require.NoError(t, err)
	defer o.Close()
	onDisk, err := os.ReadFile(o.Path())
	require.NoError(t, err)
	require.Len(t, onDisk, 1<<20+7, "the data file is the object's bytes and nothing else")
	require.True(t, filepath.IsAbs(o.Path()))
	p := make([]byte, 3)
	_, err = o.ReadAt(p, 1<<20)
	require.NoError(t, err)
	require.Equal(t, "xxx", string(p))
}

func TestVersions(t *testing.T) {
	s := open(t, store.Config{})
	require.Equal(t, int64(1), put(t, s, "o", "1").Version)
	require.Equal(t, int64(2), put(t, s, "o", "2").Version)
	require.Equal(t, int64(3), put(t, s, "o", "3").Version)
	info, err := s.Put(context.Background(), bucket, "o", strings.NewReader(""), store.PutOptions{SkipVersion: true})
	require.NoError(t, err)
	require.Equal(t, int64(1), info.Version)
	require.Equal(t, int64(2), put(t, s, "o", "5").Version)
	require.NoError(t, s.Delete(bucket, "o"))
	require.Equal(t, int64(1), put(t, s, "o", "6").Version)
}

func TestPutKeepsNoMapOfTheCaller(t *testing.T) {
	s := open(t, store.Config{})
	custom := map[string]string{"k": "v"}
	info, err := s.Put(context.Background(), bucket, "o", strings.NewReader(""), store.PutOptions{Custom: custom})
	require.NoError(t, err)
	custom["k"] = "changed"
	require.Equal(t, map[string]string{"k": "v"}, info.Custom)
}

func TestChecksums(t *testing.T) {
	const hello = "hello world"
	s := open(t, store.Config{})
	for _, c := range []struct {
		typ, value, body string
		want             error
	}{
		{"xxhash", "ef46db3751d8e999", "", nil},
		{"xxhash2", "45ab6734b21e6968", hello, nil},
		{"xxhash", "45AB6734B21E6968", hello, nil},
		{"md5", "5eb63bbbe01eeed093cb22bb8f5acdc3", hello, nil},
		{"crc32c", "00000000", hello, store.ErrChecksum},
		{"crc32c", "c99465aa", hello, nil},
		{"sha256", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9", hello, nil},
		{"sha512", "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f" +
			"989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f", hello, nil},
		{"none", "", hello, nil},
		{"none", "whatever", hello, nil},
		{"", "", hello, nil},
		{"md5", "", hello, nil},
		{"xxhash2", "ef46db3751d8e999", hello, store.ErrChecksum},
		{"md5", "ef46db3751d8e999", hello, store.ErrChecksum},
		{"sha256", "00", hello, store.ErrChecksum},
		{"sha512", "00", hello, store.ErrChecksum},
		{"sha1", "00", hello, store.ErrChecksumType},
		{"", "00", hello, store.ErrChecksumType},
	} {
		t.Run(c.typ+"="+c.value, func(t *testing.T) {
			old := put(t, s, "o", "old")
			info, err := s.Put(context.Background(), bucket, "o", strings.NewReader(c.body), store.PutOptions{
				Size: int64(len(c.body)), Expect: store.Checksum{Type: c.typ, Value: c.value},
			})
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				got, info := get(t, s, "o")
				require.Equal(t, "old", got)
				require.Equal(t, old, info)
				return
			}
			require.NoError(t, err)
			require.Equal(t, store.OwnChecksum, info.Checksum.Type)
			require.Equal(t, map[string]string{"": "ef46db3751d8e999", hello: "45ab6734b21e6968"}[c.body], info.Checksum.Value)
		})
	}
}

func TestChecksumOfAnotherTypeIsKept(t *testing.T) {
	s := open(t, store.Config{})
	for typ, want := range map[string]string{"md5": "5eb63bbbe01eeed093cb22bb8f5acdc3", "crc32c": "c99465aa", "none": "",
		"sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"} {
		custom := map[string]string{"k": "v"}
		info, err := s.Put(context.Background(), bucket, "o", strings.NewReader("hello world"), store.PutOptions{
			Size: -1, Keep: typ, Expect: store.Checksum{Type: "xxhash", Value: "45ab6734b21e6968"}, Custom: custom})
		require.NoError(t, err)
		require.Equal(t, store.Checksum{Type: typ, Value: want}, info.Checksum)
		_, got := get(t, s, "o")
		require.Equal(t, info, got)
		require.Equal(t, custom, got.Custom)
	}
	_, err := s.Put(context.Background(), bucket, "o", strings.NewReader("hello world"), store.PutOptions{Size: -1, Keep: "sha1"})
	require.ErrorIs(t, err, store.ErrChecksumType)
}

func TestChecksumErrorSaysWhatDiffers(t *testing.T) {
	s := open(t, store.Config{})
	_, err := s.Put(context.Background(), bucket, "o", strings.NewReader("hello world"), store.PutOptions{
		Size: -1, Expect: store.Checksum{Type: "md5", Value: "aaa"},
	})
	var ce *store.ChecksumError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, store.ChecksumError{Type: "md5", Want: "aaa", Got: "5eb63bbbe01eeed093cb22bb8f5acdc3"}, *ce)
	require.ErrorContains(t, err, "md5(aaa != 5eb63bbbe01eeed093cb22bb8f5acdc3)")
}

// A Put that fails leaves the old object, no temporary file and no open one.
func TestPutFails(t *testing.T) {
	errBroken := errors.New("connection reset")
	for _, c := range []struct {
		why  string
		body io.Reader
		opts store.PutOptions
		name string
		want error
	}{
		{why: "short body", body: strings.NewReader("abc"), opts: store.PutOptions{Size: 4}, want: store.ErrShortBody},
		{why: "empty body", body: strings.NewReader(""), opts: store.PutOptions{Size: 4}, want: store.ErrShortBody},
		{why: "long body", body: strings.NewReader("abcde"), opts: store.PutOptions{Size: 4}, want: store.ErrLongBody},
		{why: "body breaks", body: io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(errBroken)), opts: store.PutOptions{Size: -1}, want: errBroken},
		{why: "body breaks at its end", body: io.MultiReader(strings.NewReader("abcd"), iotest.ErrReader(io.ErrUnexpectedEOF)), opts: store.PutOptions{Size: 4}, want: io.ErrUnexpectedEOF},
		{why: "reader has no space", body: iotest.ErrReader(unix.ENOSPC), opts: store.PutOptions{Size: -1}, want: unix.ENOSPC},
		{why: "custom too large", body: strings.NewReader(""), opts: store.PutOptions{Custom: map[string]string{"k": strings.Repeat("v", 4<<10)}}, want: store.ErrCustom},
		{why: "name", body: strings.NewReader(""), name: strings.Repeat("x", 300), want: store.ErrName},
	} {
		t.Run(c.why, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Config{Dir: dir})
			old := put(t, s, "o", "old")
			get(t, s, "o") // its file stays open
			before := openFiles(t)
			name := c.name
			if name == "" {
				name = "o"
			}
			_, err := s.Put(context.Background(), bucket, name, c.body, c.opts)
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, store.ErrNoSpace, "the disk is not full")
			requireOnlyOld(t, s, dir, old)
			require.Equal(t, before, openFiles(t))
		})
	}
}

// A full disk, wherever it is noticed, is ErrNoSpace and undoes the Put.
func TestPutNoSpace(t *testing.T) {
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		for _, where := range []string{"write", "second write", "setxattr", "fdatasync"} {
			t.Run(where+" "+errno.Error(), func(t *testing.T) {
				var failing atomic.Bool
				dir := t.TempDir()
				s := open(t, store.Config{Dir: dir, FS: failAt(&failing, where, errno)})
				old := put(t, s, "o", "old")
				get(t, s, "o")
				before := openFiles(t)
				failing.Store(true)
				_, err := s.Put(context.Background(), bucket, "o", bytes.NewReader(make([]byte, 1<<20)), store.PutOptions{Size: -1})
				failing.Store(false)
				require.ErrorIs(t, err, store.ErrNoSpace)
				require.ErrorIs(t, err, errno)
				require.ErrorContains(t, err, "data folder "+dir)
				require.ErrorContains(t, err, "free some")
				requireOnlyOld(t, s, dir, old)
				require.Equal(t, before, openFiles(t))
			})
		}
	}
}

func failAt(on *atomic.Bool, where string, err error) store.FS {
	var fs store.FS
	fail := func() error {
		if on.Load() {
			return err
		}
		return nil
	}
	var writes atomic.Int64
	switch where {
	case "write", "second write":
		fs.Write = func(f *os.File, p []byte) (int, error) {
			if err := fail(); err != nil && (where == "write" || writes.Add(1) == 2) {
				n, _ := f.Write(p[:len(p)/2])
				return n, &os.PathError{Op: "write", Path: f.Name(), Err: err}
			}
			return f.Write(p)
		}
	case "setxattr":
		fs.Setxattr = func(f *os.File, name string, value []byte) error {
			if err := fail(); err != nil {
				return err
			}
			return unix.Fsetxattr(int(f.Fd()), name, value, 0)
		}
	case "fdatasync":
		fs.Datasync = func(*os.File) error { return fail() }
	}
	return fs
}

func requireOnlyOld(t *testing.T, s *store.Store, dir string, old store.Info) {
	t.Helper()
	got, info := get(t, s, "o")
	require.Equal(t, "old", got)
	require.Equal(t, old, info)
	require.Equal(t, []string{"o"}, list(t, s, store.ListOptions{}))
	require.Empty(t, files(t, filepath.Join(dir, "tmp")))
}

// openFiles counts this process's open files below a temporary folder, without
// folders: the syncer has those open for a moment.
func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	n := 0
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, os.TempDir()) {
			if i, err := os.Stat("/proc/self/fd/" + fd.Name()); err == nil && !i.IsDir() {
				n++
			}
		}
	}
	return n
}

func TestPutCancelled(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	old := put(t, s, "o", "old")
	ctx, cancel := context.WithCancel(context.Background())
	r := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "more"), nil // would go on for ever
	}))
	_, err := s.Put(ctx, bucket, "o", r, store.PutOptions{Size: -1})
	require.ErrorIs(t, err, context.Canceled)
	requireOnlyOld(t, s, dir, old)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPutIntoMissingBucket(t *testing.T) {
	s := open(t, store.Config{})
	_, err := s.Put(context.Background(), "nope", "a/b", iotest.ErrReader(errors.New("the body is not even read")), store.PutOptions{Size: -1})
	require.ErrorIs(t, err, store.ErrBucketNotExist)
}

// The bucket goes while the body comes: it must not come back.
func TestPutRacesWithDestroyBucket(t *testing.T) {
	for _, name := range []string{"o", "d/e/o"} {
		dir := t.TempDir()
		s := open(t, store.Config{Dir: dir})
		_, err := s.Put(context.Background(), bucket, name, readerFunc(func([]byte) (int, error) {
			require.NoError(t, s.DestroyBucket(bucket))
			return 0, io.EOF
		}), store.PutOptions{Size: -1})
		require.ErrorIs(t, err, store.ErrBucketNotExist)
		buckets, err := s.Buckets()
		require.NoError(t, err)
		require.Empty(t, buckets)
		require.Equal(t, []string{"etlbench.lock"}, files(t, dir))
	}
}

func TestReaderKeepsOldContent(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "o", "old")
	o, err := s.Open(bucket, "o")
	require.NoError(t, err)
	defer o.Close()
	put(t, s, "o", "newer")
	require.NoError(t, s.Delete(bucket, "o"))
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size))
	require.NoError(t, err)
	require.Equal(t, "old", string(b))
}

// Readers of a name that is overwritten and deleted all the time see whole
// objects only, with the metadata that belongs to them.
func TestConcurrentPutOpenDelete(t *testing.T) {
	for _, name := range []string{"o", "d/e/f/o"} {
		s := open(t, store.Config{Sync: store.SyncNone})
		var seed atomic.Uint64
		loop(t, 4, func() {
			n := seed.Add(1)
			b := body(n, 16+int(n*7919%20000))
			_, err := s.Put(context.Background(), bucket, name, bytes.NewReader(b), store.PutOptions{Size: int64(len(b))})
			require.NoError(t, err)
		}, func() {
			if err := s.Delete(bucket, name); err != nil {
				require.ErrorIs(t, err, store.ErrNotExist)
			}
		}, func() {
			o, err := s.Open(bucket, name)
			if err != nil {
				require.ErrorIs(t, err, store.ErrNotExist)
				return
			}
			defer o.Close()
			b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size))
			require.NoError(t, err)
			require.True(t, isBody(b), "torn: %d bytes", len(b))
			require.Equal(t, sum(b), o.Checksum.Value)
			require.Equal(t, int64(len(b)), o.Size)
		}, func() {
			_, _, err := s.List(bucket, store.ListOptions{Detail: true})
			require.NoError(t, err)
		})
	}
}

// Every overwrite has a version of its own.
func TestConcurrentVersions(t *testing.T) {
	s := open(t, store.Config{})
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				info, err := s.Put(context.Background(), bucket, "o", strings.NewReader(""), store.PutOptions{})
				mu.Lock()
				if err != nil || seen[info.Version] {
					t.Errorf("version %d again, or %v", info.Version, err)
				}
				seen[info.Version] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	info, err := s.Stat(bucket, "o")
	require.NoError(t, err)
	require.Equal(t, int64(80), info.Version)
}

// loop runs each step in n goroutines, over and over, for a short while.
func loop(t *testing.T, n int, steps ...func()) {
	t.Helper()
	end := time.Now().Add(400 * time.Millisecond)
	var wg sync.WaitGroup
	for _, step := range steps {
		for range n {
			wg.Go(func() {
				for time.Now().Before(end) && !t.Failed() {
					step()
				}
			})
		}
	}
	wg.Wait()
}
