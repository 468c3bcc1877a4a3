package store

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocate(t *testing.T) {
	for _, c := range []struct{ name, path string }{
		{"a", "a"},
		{"a/b", "a%/b"},
		{"a.txt", "a.txt"},
		{"a%/b", "a%25%/b"},
		{"50%", "50%25"},
		{".", "%2E"},
		{"..", "%2E%2E"},
		{"...", "..."},
		{"../../etc/passwd", "%2E%2E%/%2E%2E%/etc%/passwd"},
		{"./x", "%2E%/x"},
		{"/", "%/%-"},
		{"/a", "%/a"},
		{"a/", "a%/%-"},
		{"a//b", "a%/%/b"},
		{"%-", "%25-"},
		{"%2E", "%252E"},
		{"a\nb\x00\x7f", "a%0Ab%00%7F"},
		{"größe/日本", "größe%/日本"},
		{"not utf-8 \xff", "not utf-8 \xff"},
		{`back\slash`, `back\slash`},
		{strings.Repeat("x", 255), strings.Repeat("x", 255)},
		{strings.Repeat("x", 254) + "/y", strings.Repeat("x", 254) + "%/y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := locateIn("/r", c.name)
			require.NoError(t, err)
			require.Equal(t, "/r/"+c.path, p.path)
			require.Equal(t, filepath.Dir(p.path), p.dir)
			back, ok := nameOf(c.path)
			require.True(t, ok)
			require.Equal(t, c.name, back)
		})
	}
}

func TestLocateRefuses(t *testing.T) {
	for _, c := range []struct{ why, name string }{
		{"empty", ""},
		{"long file", strings.Repeat("x", 256)},
		{"long once escaped", strings.Repeat("%", 86)},
		{"long directory", strings.Repeat("x", 255) + "/y"},
		{"long path", strings.Repeat("xxxxxxx/", 600) + "y"},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := locateIn("/r", c.name)
			require.ErrorIs(t, err, ErrName)
		})
	}
}

func TestBucketDirRefuses(t *testing.T) {
	s := &Store{buckets: "/d/buckets"}
	for _, name := range []string{"", "a/b", "/", strings.Repeat("x", 256)} {
		_, err := s.bucketDir(name)
		require.ErrorIs(t, err, ErrName, "%q", name)
	}
	for _, name := range []string{".", "..", "a%", "tmp"} {
		dir, err := s.bucketDir(name)
		require.NoError(t, err)
		require.Equal(t, "/d/buckets", filepath.Dir(filepath.Clean(dir)), "%q", name)
	}
}

func TestEntryKeyIgnoresForeignEntries(t *testing.T) {
	for _, e := range []string{".", "..", "a%2", "a%zz", "a%2f", "%61", "%2e", "%2E%2E%2E", "%-%", "a\x01"} {
		_, ok := entryKey(e)
		require.False(t, ok, "%q", e)
	}
}

// nameOf turns an object's path below its bucket back into its name.
func nameOf(path string) (string, bool) {
	var name strings.Builder
	entries := strings.Split(path, "/")
	for i, e := range entries {
		key, ok := entryKey(e)
		if !ok || strings.HasSuffix(key, "/") != (i < len(entries)-1) {
			return "", false
		}
		name.WriteString(key)
	}
	return name.String(), true
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", "../../x", "/", "//", "a%2F..", "%", "%-", "\x00", "\xff/."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := locateIn("/r/b", name)
		if err != nil {
			require.ErrorIs(t, err, ErrName)
			return
		}
		require.Equal(t, p.path, filepath.Clean(p.path))
		below, ok := strings.CutPrefix(p.path, "/r/b/")
		require.True(t, ok, "%q leaves its bucket: %q", name, p.path)
		for e := range strings.SplitSeq(below, "/") {
			require.LessOrEqual(t, len(e), maxEntry)
		}
		back, ok := nameOf(below)
		require.True(t, ok)
		require.Equal(t, name, back)
	})
}
