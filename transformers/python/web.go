package python

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"slices"
)

// webSource serves some sample transforms behind a web server of Python's.
//
//go:embed web.py
var webSource string

// webServers are what web.py knows, with the modules that a server needs and
// Debian's packages of them.
var webServers = map[string]struct{ modules, packages string }{
	"http":    {"http.server", "python3"},
	"flask":   {"flask", "python3-flask"},
	"fastapi": {"fastapi, uvicorn", "python3-fastapi python3-uvicorn"},
}

// WebServers are the names of Python's web servers that samples can be served
// by, as users of AIStore write their transformers.
func WebServers() []string { return []string{"http", "flask", "fastapi"} }

// WebTransforms are the samples that can be served so.
func WebTransforms() []string { return []string{"echo", "flac-wav", "md5"} }

// FindWeb gives the newest Python 3 on the PATH that has a web server, or says
// what to install.
func FindWeb(ctx context.Context, server string) (Interpreter, error) {
	need, ok := webServers[server]
	if !ok {
		return Interpreter{}, fmt.Errorf("python: no web server %q: have %v", server, WebServers())
	}
	for _, i := range Installed(ctx) {
		if i.Major == 3 && exec.CommandContext(ctx, i.Path, "-c", "import "+need.modules).Run() == nil {
			return i, nil
		}
	}
	return Interpreter{}, fmt.Errorf("python: no Python 3 on the PATH has %s; Debian: apt-get install %s", need.modules, need.packages)
}

// WebCommand is the command line that serves a sample at 127.0.0.1:$PORT.
func WebCommand(i Interpreter, server, transform string) ([]string, error) {
	if _, ok := webServers[server]; !ok || !slices.Contains(WebTransforms(), transform) {
		return nil, fmt.Errorf("python: %s behind %s: have %v behind %v", transform, server, WebTransforms(), WebServers())
	}
	return []string{i.Path, "-c", webSource, server, transform}, nil
}
