package python

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxEnvironments is how many environments a folder keeps, beside those that
// are in use: the ones used last.
const maxEnvironments = 16

// Environment holds the packages that a module requires. It is kept in a folder
// that may be shared by any number of processes:
//
//	KEY       the environment, complete: it is moved here at the end
//	KEY.new   one that is being made, or whose maker was killed
//	KEY.lock  locked (flock) by whoever makes or removes KEY, shared by users
//
// KEY is a digest of the interpreter, the requirements and pip's settings.
type Environment struct {
	dir  string
	lock *os.File
}

// InstallConfig says what to install. All of it is required but Env and Log.
type InstallConfig struct {
	Python       string    // path of the interpreter
	Requirements []byte    // in pip's format
	Dir          string    // folder of environments
	Env          []string  // of pip, all of it
	Log          io.Writer // gets the end of what pip prints, when it is through
}

// Install makes an environment of what the requirements ask for, or takes the
// one that was made of the same before; of two that want the same at the same
// time one makes it. It returns nil when nothing is required; then neither pip
// nor the folder is needed. The caller closes what it returns, when the code
// has ended. Ctx covers the installation.
func Install(ctx context.Context, cfg InstallConfig) (*Environment, error) {
	lines, err := parseRequirements(cfg.Requirements)
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	e, err := cfg.install(ctx, lines)
	if err != nil {
		return nil, fmt.Errorf("python: install dependencies: %w", err)
	}
	return e, nil
}

func (c InstallConfig) install(ctx context.Context, lines []string) (*Environment, error) {
	i := probe(ctx, c.Python)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if i.Path == "" {
		return nil, fmt.Errorf("%s does not run as a Python", c.Python)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	e := &Environment{dir: filepath.Join(c.Dir, key(i, lines, c.Env))}
	if err := e.open(ctx, &installer{Interpreter: i, requirements: lines, env: c.Env, output: &tail{next: io.Discard}}, c.Log); err != nil {
		return nil, err
	}
	trim(c.Dir)
	return e, nil
}

func key(i Interpreter, lines, env []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%q\n", i, lines)
	for _, kv := range slices.Sorted(slices.Values(env)) {
		if strings.HasPrefix(kv, "PIP_") {
			fmt.Fprintf(h, "%q\n", kv)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// lockPoll is how often a lock that somebody else has is asked for: flock
// itself cannot be interrupted.
const lockPoll = 50 * time.Millisecond

// open locks an environment for use and makes it where it is not there. Another
// process may make it while this one waits, and use it from then on, or remove
// it before this one has the lock: each time it is looked for again.
func (e *Environment) open(ctx context.Context, i *installer, log io.Writer) (err error) {
	for {
		how := unix.LOCK_EX
		if exists(e.dir) {
			how = unix.LOCK_SH
		}
		if e.lock, err = tryLock(e.dir+".lock", how); err != nil {
			return err
		}
		switch there := exists(e.dir); {
		case e.lock == nil:
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for another process that installs the same: %w", context.Cause(ctx))
			case <-time.After(lockPoll):
			}
			continue
		case how == unix.LOCK_SH && there:
			now := time.Now()
			_ = os.Chtimes(e.dir+".lock", now, now) // trim goes by it; it is not worth an error
			return nil
		case how == unix.LOCK_EX && !there:
			err = e.make(ctx, i, log)
		}
		if err = errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tryLock returns nil when somebody else has the lock.
func tryLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err == nil {
		ours, oerr := f.Stat()
		now, nerr := os.Stat(path)
		if oerr == nil && nerr == nil && os.SameFile(ours, now) {
			return f, nil
		}
		err = unix.EWOULDBLOCK // it was removed meanwhile: there is a new one
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = nil
	}
	return nil, err
}

// make makes the environment; the lock is exclusive.
func (e *Environment) make(ctx context.Context, i *installer, log io.Writer) (err error) {
	work := e.dir + ".new"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	fmt.Fprintf(log, "installing dependencies for Python %s\n", i)
	made := filepath.Join(work, "packages")
	if err := i.install(ctx, work, made); err != nil {
		return err
	}
	fmt.Fprint(log, i.output.text())
	if err := os.MkdirAll(made, 0o700); err != nil { // pip makes none when markers leave nothing
		return err
	}
	if err := syncAll(made); err != nil {
		return err
	}
	return os.Rename(made, e.dir)
}

// Environ adds the environment to the environment variables of a process.
func (e *Environment) Environ(env []string) []string {
	env = slices.Clone(env)
	for name, dir := range map[string]string{"PYTHONPATH": e.dir, "PATH": filepath.Join(e.dir, "bin")} {
		value := dir
		for _, kv := range env {
			if old, ok := strings.CutPrefix(kv, name+"="); ok && old != "" {
				value = dir + string(filepath.ListSeparator) + old
			}
		}
		env = append(env, name+"="+value) // of two the last counts
	}
	return env
}

// Close lets go of the environment: it may be removed now.
func (e *Environment) Close() error { return e.lock.Close() }

// trim removes what was left behind half-made, and, of the environments that
// are not in use, those that were used longest ago. Whatever cannot be removed
// is for the next time.
func trim(dir string) {
	locks, _ := filepath.Glob(filepath.Join(dir, "*.lock")) // the pattern is well-formed
	used := map[string]time.Time{}
	for _, path := range locks {
		if info, err := os.Stat(path); err == nil {
			used[path] = info.ModTime()
		}
	}
	slices.SortFunc(locks, func(a, b string) int { return used[b].Compare(used[a]) })
	kept := 0
	for _, path := range locks {
		lock, err := tryLock(path, unix.LOCK_EX)
		if lock == nil || err != nil {
			continue // in use
		}
		env := strings.TrimSuffix(path, ".lock")
		if exists(env) {
			kept++
		}
		if !exists(env) || kept > maxEnvironments {
			remove(env)
		} else {
			_ = os.RemoveAll(env + ".new")
		}
		lock.Close()
	}
}

// remove removes an environment whose lock is exclusive: first out of sight, so
// that nobody finds a part of it.
func remove(env string) {
	if err := os.RemoveAll(env + ".new"); err != nil {
		return
	}
	if err := os.Rename(env, env+".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := os.RemoveAll(env + ".new"); err == nil {
		_ = os.Remove(env + ".lock")
	}
}
