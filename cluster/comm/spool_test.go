package comm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// spooled runs a transform into a spool, as a Server does.
func spooled(transform func(dst io.Writer) error) *spool {
	_, cancel := context.WithCancelCause(context.Background())
	s := newSpool(cancel)
	go func() { s.finish(transform(s)) }()
	return s
}

// TestResults: whole or large, in pieces of any size, read or written.
func TestResults(t *testing.T) {
	for _, size := range []int{0, 1, SmallSize, SmallSize + 1, 5*SmallSize + 3} {
		for _, piece := range []int{1000, SmallSize, SmallSize + 1, 3 * SmallSize} {
			for _, announced := range []bool{false, true} {
				for _, way := range []string{"read", "write"} {
					want := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
					s := spooled(func(dst io.Writer) error {
						if announced {
							SetSize(dst, int64(size))
						}
						for rest := want; len(rest) > 0; {
							n, err := dst.Write(rest[:min(piece, len(rest))])
							if err != nil {
								return err
							}
							rest = rest[n:]
						}
						return nil
					})
					err, done := s.wait()
					require.NoError(t, err)
					require.Equal(t, size <= SmallSize, done)
					o := s.result(done)
					if done || announced {
						require.EqualValues(t, size, o.Size)
					} else {
						require.EqualValues(t, -1, o.Size)
					}
					var got bytes.Buffer
					if way == "read" {
						_, err = io.Copy(&got, struct{ io.Reader }{o.Body})
					} else {
						_, err = o.Body.(io.WriterTo).WriteTo(&got)
					}
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, got.Bytes()), "%d in %d, %s", size, piece, way)
					require.NoError(t, o.Body.Close())
				}
			}
		}
	}
}

// TestResultsThatFail: a large result ends with the transform's error, however
// it is taken, also when its size is not what was announced.
func TestResultsThatFail(t *testing.T) {
	broken := errors.New("broken")
	write := func(announced, n int, err error) func(io.Writer) error {
		return func(dst io.Writer) error {
			SetSize(dst, int64(announced))
			_, werr := dst.Write(make([]byte, n))
			return errors.Join(werr, err)
		}
	}
	for _, tt := range []struct {
		transform func(io.Writer) error
		want      string
	}{
		{write(-1, 2*SmallSize, broken), "broken"},
		{write(3*SmallSize, 2*SmallSize, nil), "announced 196608 bytes and wrote 131072"},
	} {
		for _, way := range []string{"read", "write"} {
			s := spooled(tt.transform)
			err, done := s.wait()
			require.NoError(t, err)
			require.False(t, done)
			body := s.result(done).Body
			if way == "read" {
				_, err = io.Copy(io.Discard, struct{ io.Reader }{body})
			} else {
				_, err = body.(io.WriterTo).WriteTo(io.Discard)
			}
			require.ErrorContains(t, err, tt.want)
			require.NoError(t, body.Close())
		}
	}
	for _, transform := range []func(io.Writer) error{write(2, 3, nil), write(3, 2, nil), write(SmallSize+1, 2*SmallSize, nil)} {
		err, done := spooled(transform).wait()
		require.True(t, done)
		require.ErrorContains(t, err, "announced")
	}
}

// TestResultsThatNobodyTakes end their transforms.
func TestResultsThatNobodyTakes(t *testing.T) {
	for _, taken := range []bool{false, true} {
		ended := make(chan error, 1)
		s := spooled(func(dst io.Writer) error {
			_, err := dst.Write(make([]byte, 2*SmallSize))
			for err == nil {
				_, err = dst.Write(make([]byte, SmallSize))
			}
			ended <- err
			return err
		})
		_, done := s.wait()
		body := s.result(done).Body
		if taken {
			_, err := body.Read(make([]byte, 10))
			require.NoError(t, err)
		}
		require.NoError(t, body.Close())
		require.ErrorIs(t, <-ended, errAborted)
	}
	s := spooled(func(dst io.Writer) error {
		for {
			if _, err := dst.Write(make([]byte, SmallSize)); err != nil {
				return err
			}
		}
	})
	_, done := s.wait()
	body := s.result(done).Body
	hungUp := errors.New("hung up")
	_, err := body.(io.WriterTo).WriteTo(failingWriter{hungUp})
	require.ErrorIs(t, err, hungUp)
	require.NoError(t, body.Close())
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
