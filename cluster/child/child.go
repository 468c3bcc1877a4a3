// Package child runs child processes that say where they listen and that do
// not outlive their parent: nodes of a cluster, and pods on this machine.
package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// EnvAnnounce names a file descriptor. A process that finds it listens on any
// port it likes and writes its base URL there, as one line. That leaves no
// moment in which somebody else can take the port.
const EnvAnnounce = "ETLBENCH_ANNOUNCE_FD"

// announceFD is the first of exec.Cmd.ExtraFiles.
const announceFD = "3"

// Config of a child process.
type Config struct {
	Argv   []string
	Env    []string  // all of it; EnvAnnounce is added
	Dir    string    // working directory; "" is this process's
	Output io.Writer // gets both outputs
}

// Process is a running child, in a process group of its own. It is killed when
// its parent dies.
type Process struct {
	cmd  *exec.Cmd
	url  chan string
	done chan struct{}
	err  error // valid after done
}

// Start runs a process. It is waited for in the background: see Done.
func Start(cfg Config) (*Process, error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pw.Close()
	cmd := exec.Command(cfg.Argv[0], cfg.Argv[1:]...)
	cmd.Dir = cfg.Dir
	cmd.Env = append(append([]string{}, cfg.Env...), EnvAnnounce+"="+announceFD)
	cmd.Stdout, cmd.Stderr = cfg.Output, cfg.Output
	cmd.ExtraFiles = []*os.File{pw}
	// A grandchild that keeps the output open must not hold its parent's end.
	cmd.WaitDelay = time.Second
	// Pdeathsig follows the thread that forks. The Go runtime ends a thread
	// only with a goroutine locked to it, and nothing here locks one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		pr.Close()
		return nil, err
	}
	p := &Process{cmd: cmd, url: make(chan string, 1), done: make(chan struct{})}
	go p.readURL(pr)
	go p.wait()
	return p, nil
}

func (p *Process) readURL(pr *os.File) {
	defer pr.Close()
	const longest = 256
	line, err := bufio.NewReader(io.LimitReader(pr, longest)).ReadString('\n')
	if err == nil {
		p.url <- strings.TrimSpace(line)
	}
}

func (p *Process) wait() {
	p.err = p.cmd.Wait()
	// What the process left behind in its group goes with it.
	p.kill()
	close(p.done)
}

func (p *Process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// PID is the process's id, and its group's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// URL gives the base URL once, if the process announces one.
func (p *Process) URL() <-chan string { return p.url }

// Done is closed when the process has gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is what exec.Cmd.Wait said; only after Done.
func (p *Process) Err() error { return p.err }

// Stop asks the process's group to end with SIGTERM, and kills it after grace
// or when ctx ends. It returns when the process has gone.
func (p *Process) Stop(ctx context.Context, grace time.Duration) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-ctx.Done():
	case <-time.After(grace):
	}
	p.kill()
	<-p.done
}

// Announce writes a base URL to whoever started this process, if it listens,
// and tells whether it does.
func Announce(fd, url string) (bool, error) {
	if fd == "" {
		return false, nil
	}
	if fd != announceFD {
		return false, fmt.Errorf("%s=%s: must be %s", EnvAnnounce, fd, announceFD)
	}
	f := os.NewFile(3, "announce")
	defer f.Close()
	_, err := fmt.Fprintln(f, url)
	return true, err
}
