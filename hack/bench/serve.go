package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/etlbench/etlbench/cluster/child"
)

// dirEnv is the folder that yardsticks keep objects in.
const dirEnv = "BENCH_DIR"

// serve is one yardstick, in a process of its own, until it is killed.
func serve(kind string) error {
	files := store{os.Getenv(dirEnv)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var handler http.Handler
	switch kind {
	case "pod":
		handler = http.HandlerFunc(echo)
	case "nethttp":
		handler = files.handler(files.send)
	case "redirect":
		handler = files.handler(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, os.Getenv(toEnv)+r.URL.RequestURI(), http.StatusMovedPermanently)
		})
	case "nethttp-hpush":
		handler, err = newRelay(files)
	case "epoll":
		return serveEpoll(ln.(*net.TCPListener), files)
	default:
		err = fmt.Errorf("no yardstick %q", kind)
	}
	if err != nil {
		return err
	}
	if _, err := child.Announce(os.Getenv(child.EnvAnnounce), "http://"+ln.Addr().String()); err != nil {
		return err
	}
	return http.Serve(ln, handler)
}

// store is a folder of objects, one file each, below their URLs' paths.
type store struct{ dir string }

func (s store) path(url string) string { return filepath.Join(s.dir, filepath.Clean("/"+url)) }

func (s store) put(url string, body io.Reader) error {
	path := s.path(url)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// handler takes PUTs, has get answer GETs, and says yes to the making and
// removing of buckets.
func (s store) handler(get http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/buckets"):
		case r.Method == http.MethodPut:
			if err := s.put(r.URL.Path, r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		default:
			get(w, r)
		}
	})
}

// send answers with a file, as most servers would: net/http sends it by sendfile.
func (s store) send(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(f *os.File, size int64) {
		head(w, size)
		_, _ = io.Copy(w, f)
	})
}

func head(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if size >= 0 {
		w.Header().Set("Content-Length", fmt.Sprint(size))
	}
}

func (s store) with(w http.ResponseWriter, r *http.Request, do func(f *os.File, size int64)) {
	f, err := os.Open(s.path(r.URL.Path))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	do(f, info.Size())
}
