package python

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTrimKeepsWhatIsInUseAndWhatWasUsedLast(t *testing.T) {
	dir := t.TempDir()
	touch := func(name string, minutes int) *os.File {
		lock, err := tryLock(filepath.Join(dir, name+".lock"), unix.LOCK_SH)
		require.NoError(t, err)
		at := time.Now().Add(time.Duration(minutes) * time.Minute)
		require.NoError(t, os.Chtimes(lock.Name(), at, at))
		return lock
	}
	mkdir := func(name string) { require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "x"), 0o700)) }
	var want []string
	for n := range maxEnvironments + 3 {
		name := fmt.Sprintf("env%02d", n)
		mkdir(name)
		if n == 5 {
			mkdir(name + ".new")
		}
		lock := touch(name, n)
		if n == 0 {
			defer lock.Close() // in use
		} else {
			lock.Close()
		}
		if n == 0 || n > 2 {
			want = append(want, name, name+".lock")
		}
	}
	mkdir("half.new") // its maker was killed
	touch("half", 100).Close()
	mkdir("making.new") // is being made
	making, err := tryLock(filepath.Join(dir, "making.lock"), unix.LOCK_EX)
	require.NoError(t, err)
	defer making.Close()
	want = append(want, "making.new", "making.lock")

	trim(dir)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, want, got)
}

func TestLockOfARemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	first, err := tryLock(path, unix.LOCK_EX)
	require.NoError(t, err)
	defer first.Close()
	other, err := tryLock(path, unix.LOCK_SH)
	require.NoError(t, err)
	require.Nil(t, other)
	require.NoError(t, os.Remove(path))
	other, err = tryLock(path, unix.LOCK_EX)
	require.NoError(t, err)
	require.NotNil(t, other, "another file, another lock")
	require.NoError(t, other.Close())
}
