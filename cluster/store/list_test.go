package store_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/store"
)

func TestListOrder(t *testing.T) {
	s := open(t, store.Config{Sync: store.SyncNone})
	names := []string{"a", "a-b", "a/", "a/b", "a//b", "a/.", "a.b", "a0", "A", "/a", "%", "a%2Fb", "é"}
	for _, n := range names {
		put(t, s, n, n)
	}
	sort.Strings(names)
	require.Equal(t, names, list(t, s, store.ListOptions{}))
}

// List agrees with sorting and filtering all names, for pages of every size,
// and for prefixes and starts that are names, parts of names, or neither.
func TestListProperty(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, seed))
	for range 3 {
		s := open(t, store.Config{Sync: store.SyncNone})
		names := putRandom(t, s, rnd)
		for limit := range len(names) + 2 {
			require.Equal(t, names, pages(t, s, store.ListOptions{Limit: limit}), "limit %d", limit)
		}
		for range 500 {
			o := store.ListOptions{Limit: 1 + rnd.IntN(20), Prefix: randomCut(rnd, names), After: randomCut(rnd, names)}
			want := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
				return !strings.HasPrefix(n, o.Prefix) || n <= o.After
			})
			require.Equal(t, want, pages(t, s, o), "%+v", o)
		}
	}
}

// pages lists everything page by page.
func pages(t *testing.T, s *store.Store, o store.ListOptions) []string {
	t.Helper()
	all := []string{}
	for {
		infos, more, err := s.List(bucket, o)
		require.NoError(t, err)
		all = append(all, namesOf(infos)...)
		if !more {
			return all
		}
		require.Len(t, infos, o.Limit)
		o.After = infos[len(infos)-1].Name
	}
}

// putRandom makes 150 objects and returns their names, sorted.
func putRandom(t *testing.T, s *store.Store, rnd *rand.Rand) []string {
	t.Helper()
	set := map[string]bool{}
	for len(set) < 150 {
		set[randomName(rnd)] = true
	}
	names := slices.Sorted(maps.Keys(set))
	for _, n := range names {
		put(t, s, n, n)
	}
	return names
}

func randomName(rnd *rand.Rand) string {
	parts := []string{"/", "/", "a", "b", "aa", "-", ".", "%", "0", "é", "\x01", "\xff", "~", "%2F"}
	var b strings.Builder
	for range 1 + rnd.IntN(7) {
		b.WriteString(parts[rnd.IntN(len(parts))])
	}
	return b.String()
}

// randomCut returns a name, the begin of one, one with more, nothing, or
// another name.
func randomCut(rnd *rand.Rand, names []string) string {
	n := names[rnd.IntN(len(names))]
	switch rnd.IntN(5) {
	case 0:
		return ""
	case 1:
		return n
	case 2:
		return n[:rnd.IntN(len(n)+1)]
	case 3:
		return n + "/"
	}
	return randomName(rnd)
}

// A shallow listing folds everything behind the next '/' into one entry, for
// pages of every size.
func TestListShallow(t *testing.T) {
	const seed = 11
	rnd := rand.New(rand.NewPCG(seed, seed))
	s := open(t, store.Config{Sync: store.SyncNone})
	names := putRandom(t, s, rnd)
	for range 500 {
		o := store.ListOptions{Limit: 1 + rnd.IntN(20), Prefix: randomCut(rnd, names), Shallow: true, NoFolders: rnd.IntN(4) == 0}
		want := []string{}
		for _, n := range names {
			rest, ok := strings.CutPrefix(n, o.Prefix)
			first, _, isIn := strings.Cut(rest, "/")
			switch {
			case !ok || isIn && o.NoFolders:
			case isIn:
				want = append(want, o.Prefix+first+"/")
			default:
				want = append(want, n)
			}
		}
		sort.Strings(want)
		require.Equal(t, slices.Compact(want), pages(t, s, o), "%+v", o)
	}
}

func TestListDetail(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "a/b", "old")
	want := []store.Info{put(t, s, "a", "1"), put(t, s, "a/b", "22"), put(t, s, "c", "")}
	got, more, err := s.List(bucket, store.ListOptions{Detail: true})
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, want, got)
	require.Equal(t, int64(2), got[1].Version)
}

// Directories that a crash or a failed Put left empty hold no next page.
func TestListMoreSkipsEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	put(t, s, "a", "")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "buckets", bucket, "b%", "c%"), 0o755))
	infos, more, err := s.List(bucket, store.ListOptions{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, namesOf(infos))
	require.False(t, more)
}

func TestListIgnoresForeignEntries(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	put(t, s, "a", "")
	root := filepath.Join(dir, "buckets", bucket)
	require.NoError(t, os.WriteFile(filepath.Join(root, "b%zz"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "c%"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(root, "d"), 0o755))
	infos, _, err := s.List(bucket, store.ListOptions{Detail: true})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, namesOf(infos))
	_, err = s.Open(bucket, "d")
	require.ErrorIs(t, err, store.ErrNotExist)
}

func TestListOfNamesThatCannotExist(t *testing.T) {
	s := open(t, store.Config{})
	put(t, s, "a", "")
	for _, prefix := range []string{"a/", "b", "../", strings.Repeat("x", 300) + "/", strings.Repeat("x/", 3000)} {
		require.Empty(t, list(t, s, store.ListOptions{Prefix: prefix}), "%.20q", prefix)
	}
}

func TestListMissingBucket(t *testing.T) {
	s := open(t, store.Config{})
	_, _, err := s.List("nope", store.ListOptions{})
	require.ErrorIs(t, err, store.ErrBucketNotExist)
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	for _, n := range []string{"a", "a/b", "a/b/c", "a/b/d"} {
		put(t, s, n, n)
	}
	root := filepath.Join(dir, "buckets", bucket)
	require.NoError(t, s.Delete(bucket, "a/b/c"))
	require.DirExists(t, filepath.Join(root, "a%", "b%"))
	require.NoError(t, s.Delete(bucket, "a/b/d"))
	require.NoDirExists(t, filepath.Join(root, "a%", "b%"))
	require.NoError(t, s.Delete(bucket, "a/b"))
	require.NoDirExists(t, filepath.Join(root, "a%"))
	require.Equal(t, []string{"a"}, list(t, s, store.ListOptions{}))
	require.NoError(t, s.Delete(bucket, "a"))
	require.DirExists(t, root)

	require.ErrorIs(t, s.Delete(bucket, "a"), store.ErrNotExist)
	require.ErrorIs(t, s.Delete(bucket, "x/y"), store.ErrNotExist)
	require.ErrorIs(t, s.Delete("nope", "a"), store.ErrBucketNotExist)
	require.ErrorIs(t, s.Delete(bucket, ""), store.ErrName)
	_, err := s.Stat(bucket, "a")
	require.ErrorIs(t, err, store.ErrNotExist)
	_, err = s.Open("nope", "a")
	require.ErrorIs(t, err, store.ErrBucketNotExist)
}

func TestBuckets(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	require.NoError(t, s.CreateBucket("a.b-c_d"))
	require.NoError(t, s.CreateBucket(".."))
	require.ErrorIs(t, s.CreateBucket(bucket), store.ErrBucketExists)
	require.ErrorIs(t, s.CreateBucket("a/b"), store.ErrName)
	names, err := s.Buckets()
	require.NoError(t, err)
	require.Equal(t, []string{"..", "a.b-c_d", bucket}, names)

	put(t, s, "x/y", "data")
	require.NoError(t, s.DestroyBucket(bucket))
	require.ErrorIs(t, s.DestroyBucket(bucket), store.ErrBucketNotExist)
	require.ErrorIs(t, s.DestroyBucket(""), store.ErrName)
	require.NoError(t, s.CreateBucket(bucket))
	require.Empty(t, list(t, s, store.ListOptions{}))
	require.NoError(t, s.Close()) // waits for what goes in the background
	require.Equal(t, []string{"etlbench.lock"}, files(t, dir))
}

func TestStatAfterReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.CreateBucket(bucket))
	want, err := s.Put(context.Background(), bucket, "a/b", strings.NewReader("x"), store.PutOptions{Size: 1, Custom: map[string]string{"k": "v"}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	got, err := open(t, store.Config{Dir: dir}).Stat(bucket, "a/b")
	require.NoError(t, err)
	require.Equal(t, want, got)
}
