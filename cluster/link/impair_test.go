package link

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asker is a connection to a server behind a link, which answers so many bytes
// with one.
type asker struct {
	net.Conn
	t *testing.T
}

func (a asker) ask(n int) time.Duration {
	a.t.Helper()
	began := time.Now()
	_, err := a.Write(bytes.Repeat([]byte("x"), n))
	require.NoError(a.t, err)
	_, err = io.ReadFull(a, make([]byte, 1))
	require.NoError(a.t, err)
	return time.Since(began)
}

func served(t *testing.T, l *Link, each int) asker {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln = l.Listener(ln)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for err == nil {
			if _, err = io.CopyN(io.Discard, c, int64(each)); err == nil {
				_, err = c.Write([]byte("y"))
			}
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); ln.Close(); <-done })
	return asker{c, t}
}

func TestDelayIsOfABurst(t *testing.T) {
	const delay = 50 * time.Millisecond
	for name, size := range map[string]int{"a byte": 1, "many chunks": 64 * maxChunk} {
		t.Run(name, func(t *testing.T) {
			l := New(0)
			c := served(t, l, size)
			c.ask(size)
			undo := l.Impair(Impairment{Delay: delay})
			for range 3 {
				took := c.ask(size)
				require.GreaterOrEqual(t, took, delay, "each request")
				require.Less(t, took, 30*delay, "not each of its chunks")
			}
			more := l.Impair(Impairment{Delay: 2 * delay})
			require.GreaterOrEqual(t, c.ask(size), 3*delay, "delays add up")
			more()
			undo()
			require.Nil(t, l.bad.Load())
		})
	}
}

func TestDelayEndsWithTheDeadline(t *testing.T) {
	l := New(0)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln = l.Listener(ln)
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer out.Close()
	in, err := ln.Accept()
	require.NoError(t, err)
	defer in.Close()
	l.Impair(Impairment{Delay: time.Hour})
	_, err = out.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, in.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	n, err := in.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, n, "what has come is not lost")
}

// TestStall holds losses to their formula: of one segment, lost with
// probability p each time, the mean of 200 ms × (2^k − 1) is p/(1 − 2p) × 200 ms
// for p < 1/2, but for the bound of k; and of a long burst three segments count.
func TestStall(t *testing.T) {
	const p, n = 0.1, 200_000
	l := New(0)
	l.Impair(Impairment{Loss: p, Seed: 7})
	bad := l.bad.Load()
	sum, hit := time.Duration(0), 0
	for range n {
		s := bad.stall(1)
		require.True(t, s == 0 || s >= firstTimeout)
		sum += s
	}
	require.InEpsilon(t, p/(1-2*p)*firstTimeout.Seconds(), sum.Seconds()/n, 0.1)
	for range n {
		if bad.stall(100*segment) > 0 {
			hit++
		}
	}
	require.InEpsilon(t, 1-(1-p)*(1-p)*(1-p), float64(hit)/n, 0.05)

	again := New(0)
	again.Impair(Impairment{Loss: p, Seed: 7})
	first, second := again.bad.Load(), New(0)
	second.Impair(Impairment{Loss: p, Seed: 7})
	for range 1000 {
		require.Equal(t, first.stall(1), second.bad.Load().stall(1), "the same seed loses the same")
	}
	l.Impair(Impairment{Loss: 1})
	require.Equal(t, firstTimeout*(1<<mostTimeouts-1), l.bad.Load().stall(1), "bounded")
}

func TestLossStallsARequest(t *testing.T) {
	l := New(0)
	c := served(t, l, 1)
	undo := l.Impair(Impairment{Loss: 0.5, Seed: 3})
	longest := time.Duration(0)
	for range 10 {
		longest = max(longest, c.ask(1))
	}
	require.GreaterOrEqual(t, longest, firstTimeout)
	undo()
}

func TestControl(t *testing.T) {
	dir := t.TempDir()
	l := New(0)
	_, err := l.Control(t.Context(), dir)
	require.ErrorContains(t, err, "has to be a folder that only its owner may enter")
	require.NoError(t, os.Chmod(dir, 0o700))
	_, err = Impair(dir, os.Getpid(), Impairment{})
	require.ErrorContains(t, err, "has no link that can be impaired")

	done, err := l.Control(t.Context(), dir)
	require.NoError(t, err)
	undo, err := Impair(dir, os.Getpid(), Impairment{Delay: time.Second})
	require.NoError(t, err)
	more, err := Impair(dir, os.Getpid(), Impairment{Delay: time.Second, Loss: 0.5})
	require.NoError(t, err)
	require.Equal(t, []any{2 * time.Second, 0.5}, []any{l.bad.Load().delay, l.bad.Load().loss})
	require.NoError(t, more())
	require.Equal(t, []any{time.Second, 0.0}, []any{l.bad.Load().delay, l.bad.Load().loss})
	require.NoError(t, undo())
	require.Nil(t, l.bad.Load())
	done()
	_, err = Impair(dir, os.Getpid(), Impairment{})
	require.ErrorContains(t, err, "has no link that can be impaired")
}
