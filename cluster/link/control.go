package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// EnvControl names the folder of a process's control socket: see Control. Its
// parent hands it down.
const EnvControl = "ETLBENCH_LINK_CONTROL"

// socket is where a process is controlled. A path of a socket has 107 bytes at
// most.
func socket(dir string, pid int) string { return filepath.Join(dir, strconv.Itoa(pid)+".sock") }

// Control lets processes of this user impair the link: a socket in dir, which
// only its owner may enter, takes one Impairment as JSON on a connection, and
// the link is good again when that closes. It serves until ctx ends; done
// returns when it does no more.
func (l *Link) Control(ctx context.Context, dir string) (done func(), err error) {
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, errors.Join(fmt.Errorf("link control: %s has to be a folder that only its owner may enter", dir), err)
	}
	path := socket(dir, os.Getpid())
	_ = os.Remove(path) // of a process that was killed
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("link control: %w", err)
	}
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { l.controlled(ctx, c) })
		}
	})
	return func() {
		stop()
		ln.Close()
		wg.Wait()
	}, nil
}

// controlled impairs the link as long as a connection lasts.
func (l *Link) controlled(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var i Impairment
	d := json.NewDecoder(c)
	if d.Decode(&i) != nil {
		return
	}
	defer l.Impair(i)()
	if json.NewEncoder(c).Encode(i) == nil {
		_ = d.Decode(&i) // until the other end goes
	}
}

// Impair impairs the link of another process of this machine, which serves
// Control in dir, until undo.
func Impair(dir string, pid int, i Impairment) (undo func() error, err error) {
	c, err := net.Dial("unix", socket(dir, pid))
	if err != nil {
		return nil, fmt.Errorf("pid %d has no link that can be impaired: %w", pid, err)
	}
	err = json.NewEncoder(c).Encode(i)
	if err == nil {
		err = json.NewDecoder(c).Decode(&i) // it is now
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("impair the link of pid %d: %w", pid, err), c.Close())
	}
	return func() error {
		defer c.Close()
		// A process that has gone has no bad link.
		if c.(*net.UnixConn).CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, c) // until it is good again
		}
		return nil
	}, nil
}
