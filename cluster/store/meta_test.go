package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetaRoundTrip(t *testing.T) {
	for _, m := range []meta{
		{checksum: "ef46db3751d8e999", version: 1, atime: 1},
		{checksum: "0000000000000000", version: 1 << 62, atime: -5},
		{checksum: "ef46db3751d8e999", version: 7, atime: 1 << 60, custom: map[string]string{
			"": "", "k": "v", "a b": "c \"d\"\n", "z": "\x00\xff", "é": "日本",
		}},
	} {
		b, err := m.encode()
		require.NoError(t, err)
		back, err := parseMeta(b)
		require.NoError(t, err)
		require.Equal(t, m, back)
	}
}

// An inode of ext4 with 256 bytes keeps a value of this size beside itself.
func TestMetaFitsIntoInode(t *testing.T) {
	b, err := meta{checksum: "ef46db3751d8e999", version: 1e9, atime: 1.9e18}.encode()
	require.NoError(t, err)
	require.LessOrEqual(t, len(b), 64)
}

func TestMetaTooLarge(t *testing.T) {
	_, err := meta{custom: map[string]string{"k": strings.Repeat("v", maxMeta)}}.encode()
	require.ErrorIs(t, err, ErrCustom)
}

func TestParseMetaRefuses(t *testing.T) {
	for _, c := range []struct{ why, text string }{
		{"empty", ""},
		{"no end", "1\nx ef46db3751d8e999\nv 1\nt 1"},
		{"other format", "2\nx ef46db3751d8e999\nv 1\nt 1\n"},
		{"short sum", "1\nx ef46\nv 1\nt 1\n"},
		{"upper case sum", "1\nx EF46DB3751D8E999\nv 1\nt 1\n"},
		{"version 0", "1\nx ef46db3751d8e999\nv 0\nt 1\n"},
		{"version no number", "1\nx ef46db3751d8e999\nv one\nt 1\n"},
		{"atime no number", "1\nx ef46db3751d8e999\nv 1\nt \n"},
		{"lines swapped", "1\nv 1\nx ef46db3751d8e999\nt 1\n"},
		{"custom cut", "1\nx ef46db3751d8e999\nv 1\nt 1\nc \"k\"\n"},
		{"custom unquoted", "1\nx ef46db3751d8e999\nv 1\nt 1\nc k v\n"},
		{"custom with more", "1\nx ef46db3751d8e999\nv 1\nt 1\nc \"k\" \"v\" \n"},
		{"unknown line", "1\nx ef46db3751d8e999\nv 1\nt 1\nd 1\n"},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := parseMeta([]byte(c.text))
			require.Error(t, err)
		})
	}
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte("1\nx ef46db3751d8e999\nv 1\nt 1\nc \"k\" \"v\"\n"))
	f.Add([]byte("1\nx ef46db3751d8e999\nv 1\nt 1\nc `k` 'v'\n"))
	f.Add([]byte("1\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			require.ErrorIs(t, err, ErrCustom)
			return
		}
		back, err := parseMeta(again)
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}
