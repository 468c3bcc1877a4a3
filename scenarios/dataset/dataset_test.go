package dataset_test

import (
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

func readAll(t *testing.T, s dataset.Set, name string) []byte {
	t.Helper()
	r, err := s.Open(name)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return data
}

// requireSet checks what every Set promises.
func requireSet(t *testing.T, s dataset.Set) {
	t.Helper()
	objects := s.Objects()
	require.NotEmpty(t, objects)
	for i, o := range objects {
		if i > 0 {
			require.Less(t, objects[i-1].Name, o.Name, "sorted, each once")
		}
		data := readAll(t, s, o.Name)
		require.Len(t, data, int(o.Size), o.Name)
		require.Equal(t, data, readAll(t, s, o.Name), "the same at every Open")
	}
	_, err := s.Open("no-such-object")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, s.Describe(), "\n")
}

func uniform(objects int) scenarios.Dataset {
	return scenarios.Dataset{
		Kind:    "generated",
		Objects: objects,
		Size:    scenarios.Size{Dist: "uniform", Min: 1000, Max: 9000},
	}
}

func TestGenerated(t *testing.T) {
	s, err := dataset.New(uniform(50), 42)
	require.NoError(t, err)
	requireSet(t, s)
	require.Equal(t, "50 generated objects of 1KB to 9KB, 0% compressible", s.Describe())
	low, high := int64(1<<62), int64(0)
	for _, o := range s.Objects() {
		low, high = min(low, o.Size), max(high, o.Size)
	}
	require.GreaterOrEqual(t, low, int64(1000))
	require.LessOrEqual(t, high, int64(9000))
	require.Greater(t, high-low, int64(4000), "sizes vary")
}

// TestGeneratedGolden pins the sizes, on every machine and in every version.
func TestGeneratedGolden(t *testing.T) {
	s, err := dataset.New(uniform(4), 42)
	require.NoError(t, err)
	require.Equal(t, []dataset.Object{
		{Name: "obj-000001", Size: 2989}, {Name: "obj-000002", Size: 5851}, {Name: "obj-000003", Size: 5841}, {Name: "obj-000004", Size: 4989},
	}, s.Objects())
}

// TestGeneratedPrefix: an object does not depend on how many there are, also
// where the numbers outgrow their six digits.
func TestGeneratedPrefix(t *testing.T) {
	few, err := dataset.New(uniform(3), 7)
	require.NoError(t, err)
	many, err := dataset.New(uniform(1_000_001), 7)
	require.NoError(t, err)
	for i, o := range few.Objects() {
		require.Equal(t, o, many.Objects()[i])
		require.Equal(t, readAll(t, few, o.Name), readAll(t, many, o.Name))
	}
	require.NotEmpty(t, readAll(t, many, "obj-1000001"))

	other, err := dataset.New(uniform(3), 8)
	require.NoError(t, err)
	require.NotEqual(t, few.Objects(), other.Objects(), "the seed matters")
}

func TestGeneratedConst(t *testing.T) {
	s, err := dataset.New(scenarios.Dataset{
		Kind: "generated", Objects: 2, Size: scenarios.Size{Dist: "const", Value: 64 << 10}, Compressible: 0.5,
	}, 1)
	require.NoError(t, err)
	requireSet(t, s)
	require.Equal(t, int64(64<<10), s.Objects()[1].Size)
	require.Equal(t, "2 generated objects of 64KiB, 50% compressible", s.Describe())
}

func TestUnknownKind(t *testing.T) {
	_, err := dataset.New(scenarios.Dataset{Kind: "tape"}, 1)
	require.EqualError(t, err, `dataset: unknown kind "tape"`)
}

// write makes a file below dir.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

func folder(dir string) (dataset.Set, error) {
	return dataset.New(scenarios.Dataset{Kind: "folder", Dir: dir}, 1)
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.txt", "bb")
	write(t, dir, "sub/deep/a.txt", "aaa")
	write(t, dir, "empty", "")
	write(t, dir, "sub-1/x", "x") // sorts before "sub/", after it in a walk
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o755))
	require.NoError(t, os.Symlink("b.txt", filepath.Join(dir, "link")))

	s, err := folder(dir)
	require.NoError(t, err)
	require.Equal(t, []dataset.Object{
		{Name: "b.txt", Size: 2}, {Name: "empty"}, {Name: "link", Size: 2}, {Name: "sub-1/x", Size: 1}, {Name: "sub/deep/a.txt", Size: 3},
	}, s.Objects())
	requireSet(t, s)
	require.Equal(t, "bb", string(readAll(t, s, "link")))
	require.Equal(t, "5 files of "+dir+", 8 bytes", s.Describe())

	write(t, dir, "later", "x")
	_, err = s.Open("later")
	require.ErrorIs(t, err, fs.ErrNotExist, "the list is fixed")
	write(t, dir, "b.txt", "longer than before")
	require.Equal(t, "longer than before", string(readAll(t, s, "b.txt")), "what is there now")
}

func TestFolderErrors(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		err     string // after "dataset folder DIR"
	}{
		{"empty", func(t *testing.T, dir string) {}, ": has no files (put some in, or choose another dataset.kind)"},
		{"missing", func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) },
			": no such file or directory (see dataset.dir)"},
		{"a file", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o644))
		}, ": not a directory (see dataset.dir)"},
		{"link that leaves", func(t *testing.T, dir string) {
			write(t, filepath.Dir(dir), "secret", "s")
			require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "l")))
		}, ": l: a link that leaves the folder or leads nowhere (remove it): path escapes from parent"},
		{"absolute link", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "l")))
		}, ": l: a link that leaves the folder or leads nowhere (remove it): path escapes from parent"},
		{"dangling link", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("gone", filepath.Join(dir, "l")))
		}, ": l: a link that leaves the folder or leads nowhere (remove it): no such file or directory"},
		{"link to a folder", func(t *testing.T, dir string) {
			write(t, dir, "sub/a", "a")
			require.NoError(t, os.Symlink("sub", filepath.Join(dir, "l")))
		}, ": l: a link to a folder (copy the folder instead)"},
		{"unreadable", func(t *testing.T, dir string) {
			if os.Geteuid() == 0 {
				t.Skip("root reads everything")
			}
			write(t, dir, "a", "a")
			require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0))
		}, ": a: permission denied"},
		{"name too long", func(t *testing.T, dir string) {
			write(t, dir, strings.Repeat(strings.Repeat("n", 200)+"/", 6)+"a", "a")
		}, ": invalid object name: 1207 bytes, at most 1024 are allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.Mkdir(dir, 0o755))
			tt.prepare(t, dir)
			_, err := folder(dir)
			require.EqualError(t, err, "dataset folder "+dir+tt.err)
		})
	}
}

// TestFolderFileGone: a file removed during the run is an error of its Open.
func TestFolderFileGone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "a")
	s, err := folder(dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "a")))
	_, err = s.Open("a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "dataset folder "+dir+": a: no such file or directory")
}

func sizesOf(t *testing.T, s scenarios.Size, n int) []int64 {
	t.Helper()
	set, err := dataset.New(scenarios.Dataset{Kind: "generated", Objects: n, Size: s}, 42)
	require.NoError(t, err)
	var list []int64
	for _, o := range set.Objects() {
		list = append(list, o.Size)
	}
	return list
}

// TestSizeDistributions compares quantiles with those of the distribution, and
// pins the first sizes, which are the same on every machine.
func TestSizeDistributions(t *testing.T) {
	const n = 20_000
	file := filepath.Join(t.TempDir(), "sizes.txt")
	require.NoError(t, os.WriteFile(file, []byte("# recorded\n4KiB\n\n 1MiB \n0B\n"), 0o644))
	tests := []struct {
		name   string
		size   scenarios.Size
		first  []int64
		p50    float64
		p99    float64
		bounds [2]int64
	}{
		{"lognormal", scenarios.Size{Dist: "lognormal", Median: 64 << 10, Sigma: 1, Min: 1 << 10, Max: 16 << 20},
			[]int64{348391, 201641, 36061, 29574}, 65536, 65536 * math.Exp(2.3263), [2]int64{1 << 10, 16 << 20}},
		{"lognormal cut off", scenarios.Size{Dist: "lognormal", Median: 64 << 10, Sigma: 1, Min: 60 << 10, Max: 70 << 10},
			nil, 66000, 71500, [2]int64{60 << 10, 70 << 10}},
		{"pareto", scenarios.Size{Dist: "pareto", Alpha: 2, Min: 1 << 10},
			nil, 1024 * math.Sqrt2, 10240, [2]int64{1 << 10, 512 << 30}},
		{"weighted", scenarios.Size{Dist: "weighted", Of: []scenarios.Share{{Size: 100, Weight: 90}, {Size: 5, Weight: 0}, {Size: 7000, Weight: 10}}},
			nil, 100, 7000, [2]int64{100, 7000}},
		{"trace", scenarios.Size{Dist: "trace", File: file}, []int64{4096, 1 << 20, 0, 4096}, 4096, 1 << 20, [2]int64{0, 1 << 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sizesOf(t, tt.size, n)
			if tt.first != nil {
				require.Equal(t, tt.first, got[:4])
			}
			slices.Sort(got)
			require.InEpsilon(t, tt.p50, float64(got[n/2]), 0.03)
			require.InEpsilon(t, tt.p99, float64(got[n*99/100]), 0.1)
			require.GreaterOrEqual(t, got[0], tt.bounds[0])
			require.LessOrEqual(t, got[n-1], tt.bounds[1])
		})
	}
}

func TestBadSizeTrace(t *testing.T) {
	for text, want := range map[string]string{
		"4KiB\n5\n": `sizes.txt:2: "5" has no unit`, "-1B": "sizes.txt:1: -1B is out of range", "# nothing": "sizes.txt has no sizes",
	} {
		file := filepath.Join(t.TempDir(), "sizes.txt")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := dataset.New(scenarios.Dataset{Kind: "generated", Objects: 1, Size: scenarios.Size{Dist: "trace", File: file}}, 1)
		require.ErrorContains(t, err, want)
	}
	_, err := dataset.New(scenarios.Dataset{Kind: "generated", Objects: 1, Size: scenarios.Size{Dist: "trace", File: "nowhere"}}, 1)
	require.ErrorContains(t, err, "dataset.size.file nowhere: ")
}

func TestSizeClasses(t *testing.T) {
	s, err := dataset.New(scenarios.Dataset{Kind: "generated", Objects: 3, MaxBytes: 2 << 20}, 42, 4<<10, 1<<20, 4<<20)
	require.NoError(t, err)
	requireSet(t, s)
	require.Equal(t, []dataset.Object{
		{Name: "1MiB/obj-000001", Size: 1 << 20}, {Name: "1MiB/obj-000002", Size: 1 << 20},
		{Name: "4KiB/obj-000001", Size: 4 << 10}, {Name: "4KiB/obj-000002", Size: 4 << 10}, {Name: "4KiB/obj-000003", Size: 4 << 10},
		{Name: "4MiB/obj-000001", Size: 4 << 20},
	}, s.Objects())
	require.Equal(t, "6 generated objects in classes: 3 of 4KiB, 2 of 1MiB, 1 of 4MiB, 0% compressible", s.Describe())
	require.NotEqual(t, readAll(t, s, "4KiB/obj-000001")[:64], readAll(t, s, "1MiB/obj-000001")[:64])
}
