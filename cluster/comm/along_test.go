package comm

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWriteAlong: what is to go along stands behind the next Write, once.
func TestWriteAlong(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		ln, err := net.Listen(network, addr)
		require.NoError(t, err)
		defer ln.Close()
		client, err := net.Dial(network, ln.Addr().String())
		require.NoError(t, err)
		c, err := Track(ln).Accept()
		require.NoError(t, err)
		require.True(t, WriteAlong(c, []byte("body")))
		for _, s := range []string{"head", "next"} {
			n, err := io.WriteString(c, s)
			require.NoError(t, err)
			require.Equal(t, 4, n)
		}
		require.NoError(t, c.Close())
		got, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "headbodynext", string(got))
		require.False(t, WriteAlong(client, []byte("x")))
		client.Close()
	}
}
