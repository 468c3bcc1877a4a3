package store_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/store"
)

// child makes a command that runs this test binary as a child, see TestMain.
func child(what, dir string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+what, dirEnv+"="+dir), env...)
	// Not to outlive a test that fails.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

const syncEnv = "ETLBENCH_STORE_TEST_SYNC"

// putUntilKilled is the child of TestCrash. It puts objects and says which are
// acknowledged: "name checksum", one a line. Names with "hot" are overwritten
// by one goroutine each, the others are new.
func putUntilKilled(dir string) error {
	level, err := store.ParseSync(os.Getenv(syncEnv))
	if err != nil {
		return err
	}
	s, err := store.Open(store.Config{Dir: dir, Sync: level})
	if err != nil {
		return err
	}
	failed := make(chan error)
	var serial atomic.Uint64
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				seed := uint64(os.Getpid())<<32 | serial.Add(1)
				name := fmt.Sprintf("new/%d/%d", seed%7, seed)
				if i%3 == 0 {
					name = fmt.Sprintf("hot/%d", g)
				}
				b := body(seed, 16+rand.IntN(1<<uint(4+rand.IntN(16))))
				info, err := s.Put(context.Background(), bucket, name, bytes.NewReader(b), store.PutOptions{Size: int64(len(b))})
				if err != nil {
					failed <- err
					return
				}
				// One write of a short line is not torn by the kill.
				fmt.Fprintf(os.Stdout, "%s %s\n", name, info.Checksum.Value)
			}
		}()
	}
	return <-failed
}

// A process that is killed keeps every object it acknowledged, and leaves no
// part of another.
func TestCrash(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for _, level := range []store.Sync{store.SyncNone, store.SyncData, store.SyncFull} {
		t.Run("sync="+level.String(), func(t *testing.T) {
			dir := t.TempDir()
			open(t, store.Config{Dir: dir}).Close()
			acked := map[string]string{}
			for range rounds {
				killRandomly(t, dir, level, acked)
				checkAfterCrash(t, dir, acked)
			}
		})
	}
}

// killRandomly runs a child for a random time and adds what it acknowledged.
func killRandomly(t *testing.T, dir string, level store.Sync, acked map[string]string) {
	t.Helper()
	cmd := child("put", dir, syncEnv+"="+level.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var kill *time.Timer
	n := 0
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if kill == nil { // it is under way
			kill = time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
		name, sum, ok := strings.Cut(lines.Text(), " ")
		require.True(t, ok, "%q", lines.Text())
		acked[name] = sum
		n++
	}
	require.NoError(t, lines.Err())
	require.ErrorContains(t, cmd.Wait(), "killed", stderr.String())
	require.Positive(t, n)
}

func checkAfterCrash(t *testing.T, dir string, acked map[string]string) {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Empty(t, files(t, filepath.Join(dir, "tmp")))
	infos, _, err := s.List(bucket, store.ListOptions{Detail: true})
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, info := range infos {
		listed[info.Name] = true
		b, same := get(t, s, info.Name)
		require.Equal(t, info, same)
		require.True(t, isBody([]byte(b)), "%s: torn", info.Name)
		require.Equal(t, sum([]byte(b)), info.Checksum.Value)
		want := acked[info.Name]
		if strings.HasPrefix(info.Name, "hot/") || want == "" {
			continue // a later Put may have come to its end without being acknowledged
		}
		require.Equal(t, want, info.Checksum.Value, info.Name)
	}
	for name := range acked {
		require.True(t, listed[name], "%s was acknowledged and is lost", name)
	}
}

// mount mounts a file system on a new folder, or skips the test.
func mount(t *testing.T, fstype string, flags uintptr, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, fstype, flags, data); err != nil {
		t.Skipf("mount %s: %v (needs root)", fstype, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

// A file system that is really full refuses the Put, keeps the old object,
// and takes new ones when there is space again.
func TestFullDisk(t *testing.T) {
	dir := mount(t, "tmpfs", 0, "size=1m")
	s := open(t, store.Config{Dir: dir})
	half := string(body(1, 512<<10))
	put(t, s, "o", half)
	_, err := s.Put(t.Context(), bucket, "o", bytes.NewReader(body(2, 1<<20)), store.PutOptions{Size: 1 << 20})
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, dir)
	got, _ := get(t, s, "o")
	require.Equal(t, half, got)
	require.Empty(t, files(t, filepath.Join(dir, "tmp")))
	put(t, s, "o2", string(body(3, 256<<10)))
	require.NoError(t, s.Delete(bucket, "o"))
	put(t, s, "o3", half)
}

func TestReadOnlyDisk(t *testing.T) {
	dir := mount(t, "tmpfs", unix.MS_RDONLY, "")
	_, err := store.Open(store.Config{Dir: dir})
	require.ErrorIs(t, err, unix.EROFS)
	require.ErrorContains(t, err, dir+" is not writable")
}

func TestDiskWithoutAttributes(t *testing.T) {
	dir := mount(t, "ramfs", 0, "")
	_, err := store.Open(store.Config{Dir: dir})
	require.ErrorContains(t, err, "no user extended attributes")
	require.ErrorContains(t, err, dir)
}

func TestFolderWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("permissions do not stop root")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	_, err := store.Open(store.Config{Dir: dir})
	require.ErrorContains(t, err, dir+" is not writable")
}

// putOverLimit is the child of TestFileSizeLimit.
func putOverLimit(dir string) error {
	limit := unix.Rlimit{Cur: 100 << 10, Max: 100 << 10}
	signal.Ignore(unix.SIGXFSZ) // or it ends the process
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		return err
	}
	_, err = s.Put(context.Background(), bucket, "o", io.LimitReader(zeros{}, 200<<10), store.PutOptions{Size: -1})
	fmt.Println(err)
	return s.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A limit that applies without root, too: ulimit -f.
func TestFileSizeLimit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	old := put(t, s, "o", "old")
	require.NoError(t, s.Close())
	cmd := child("limit", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), store.ErrNoSpace.Error())
	require.Contains(t, string(out), unix.EFBIG.Error())
	requireOnlyOld(t, open(t, store.Config{Dir: dir}), dir, old)
}
