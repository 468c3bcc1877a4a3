package node

import (
	"bufio"
	"fmt"
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/store"
)

// sendFile answers with length bytes of an object and closes it.
func sendFile(ctx *fasthttp.RequestCtx, o *store.Object, first, length int64) error {
	if length > comm.SmallSize {
		ctx.Response.SetBodyStream(&fileBody{o: o, at: first, left: length}, int(length))
		return nil
	}
	defer o.Close()
	b := comm.NewSmallBody()
	if n, err := o.ReadAt(b.Space()[:length], first); n < int(length) {
		b.Close()
		return fmt.Errorf("read %s: %w", o.Name, err)
	}
	b.Add(int(length))
	ctx.Response.SetBodyStream(b, int(length))
	return nil
}

// fileBody is an open object as a stream: left bytes, from at on.
type fileBody struct {
	o        *store.Object
	at, left int64
}

func (f *fileBody) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n, err := f.o.ReadAt(p[:min(int64(len(p)), f.left)], f.at)
	f.at, f.left = f.at+int64(n), f.left-int64(n)
	return n, err
}

// WriteTo hands a large object's file to the connection, which can send it
// without a copy through this process. fasthttp's buffer must be empty for that.
func (f *fileBody) WriteTo(w io.Writer) (int64, error) {
	bw, ok := w.(*bufio.Writer)
	file := f.o.File()
	if !ok || file == nil {
		return comm.Copy(w, struct{ io.Reader }{f})
	}
	if _, err := file.Seek(f.at, io.SeekStart); err != nil {
		return 0, err
	}
	if err := bw.Flush(); err != nil {
		return 0, err
	}
	n, err := bw.ReadFrom(&io.LimitedReader{R: file, N: f.left})
	f.at, f.left = f.at+n, f.left-n
	return n, err
}

// sendTo has the kernel send a large object's file to a unix socket.
func (f *fileBody) sendTo(c *net.UnixConn, moved func(int64)) (int64, error) {
	file := f.o.File()
	if file == nil {
		return 0, nil
	}
	n, err := comm.SendFile(c, file, f.at, f.left, moved)
	f.at, f.left = f.at+n, f.left-n
	return n, err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (f *fileBody) SupportsBodyWriteTo() bool { return true }

// Close closes the object.
func (f *fileBody) Close() error { return f.o.Close() }
