package python_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers/python"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// find3 looks for Python 3 once; the shims on some machines are slow.
var find3 = sync.OnceValues(func() (python.Interpreter, error) {
	return python.Find(context.Background(), "python3")
})

func python3(t testing.TB) string {
	t.Helper()
	found, err := find3()
	if err != nil {
		t.Skipf("needs a Python 3 on PATH: %v", err)
	}
	return found.Path
}

// module writes code.py and returns its path.
func module(t testing.TB, code string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code.py")
	require.NoError(t, os.WriteFile(path, []byte(code), 0o600))
	return path
}

// buffer is a bytes.Buffer that a host's workers may write to while the test
// reads it.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts a host with two workers, unless cfg says otherwise, for the
// length of the test.
func start(t testing.TB, cfg python.Config, code string) *python.Host {
	t.Helper()
	if cfg.Python == "" {
		cfg.Python = python3(t)
	}
	cfg.Code = module(t, code)
	if cfg.Workers == 0 {
		cfg.Workers = 2
	}
	h, err := python.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func transform(t testing.TB, h *python.Host, body string, o comm.Info) (string, error) {
	t.Helper()
	var out strings.Builder
	err := h.Transform(t.Context(), &out, strings.NewReader(body), o)
	return out.String(), err
}
