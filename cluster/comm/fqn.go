package comm

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// fqnFile is an object that a target has named by its file.
type fqnFile struct {
	*os.File
	size int64 // bytes
}

// openFQN opens the file that a request names in place of bytes; nil when it
// names none.
func (s *Server) openFQN(ctx *fasthttp.RequestCtx) (*fqnFile, error) {
	_, q, _ := strings.Cut(string(ctx.Request.Header.RequestURI()), "?")
	v, err := url.ParseQuery(q)
	if err != nil || v.Get(api.QparamETLFQN) == "" {
		return nil, nil
	}
	return s.openFile(v.Get(api.QparamETLFQN))
}

// openFile opens a file, whose path is still escaped once, inside the folder
// that the server was given: no link and no ".." leads out of it.
func (s *Server) openFile(escaped string) (*fqnFile, error) {
	refuse := func(format string, args ...any) error {
		return &TransformError{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
	}
	if s.fqnRoot == "" {
		return nil, refuse("%s: this transformer was not given a folder to read files from", api.QparamETLFQN)
	}
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, refuse("%s: %v", api.QparamETLFQN, err)
	}
	rel, err := filepath.Rel(s.fqnRoot, path)
	if err != nil {
		return nil, refuse("%s: %v", api.QparamETLFQN, err)
	}
	f, err := os.OpenInRoot(s.fqnRoot, rel)
	if err != nil {
		return nil, refuse("%s: %v", api.QparamETLFQN, err)
	}
	i, err := f.Stat()
	if err == nil && !i.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, refuse("%s: %v", api.QparamETLFQN, err)
	}
	return &fqnFile{f, i.Size()}, nil
}
