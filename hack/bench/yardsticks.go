package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etlbench/etlbench/cluster/child"
)

// serveEnv tells a process of this program which yardstick it is.
const serveEnv = "BENCH_SERVE"

// patience is how long a yardstick may take to come up, and to go.
const patience = 10 * time.Second

// running is a yardstick that was started.
type running struct {
	*child.Process
	URL string
}

// start runs a yardstick as a child that ends with this process.
func start(kind, dir string, env ...string) (*running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := child.Start(child.Config{Argv: []string{self}, Env: append(append(os.Environ(), serveEnv+"="+kind, dirEnv+"="+dir), env...), Output: os.Stderr})
	if err != nil {
		return nil, err
	}
	select {
	case url := <-p.URL():
		return &running{p, url}, nil
	case <-p.Done():
		return nil, fmt.Errorf("yardstick %s: %w", kind, errors.Join(p.Err(), errors.New("it ended before it listened")))
	case <-time.After(patience):
		p.Stop(context.Background(), 0)
		return nil, fmt.Errorf("yardstick %s does not come up", kind)
	}
}

// nginxConf answers the GETs of a folder as nginx is commonly tuned for it, and
// takes the PUTs that fill it.
const nginxConf = `%[4]s daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.log; worker_processes auto; worker_rlimit_nofile 8192;
events { worker_connections 2048; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
  open_file_cache max=4096 inactive=600s; default_type application/octet-stream; client_max_body_size 0;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server {
    listen %[2]s; root %[3]s;
    location /v1/buckets { return 200; }
    location /v1/objects { dav_methods PUT; create_full_put_path on; }
  }
}
`

// startNginx runs nginx where it is installed; nil where it is not.
func startNginx(work, dir string) (*running, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, nil
	}
	// It cannot say which port it took: this one is free a moment before.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	ln.Close()
	user := ""
	if os.Getuid() == 0 { // else its workers could not read our folder
		user = "user root root;"
	}
	conf := filepath.Join(work, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, work, addr, dir, user), 0o644); err != nil {
		return nil, err
	}
	p, err := child.Start(child.Config{Argv: []string{path, "-p", work, "-c", conf, "-e", filepath.Join(work, "nginx.log")}, Env: os.Environ(), Output: os.Stderr})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return &running{p, "http://" + addr}, nil
		}
	}
	p.Stop(context.Background(), 0)
	return nil, errors.New("nginx does not come up")
}
