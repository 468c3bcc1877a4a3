package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/cluster"
)

// engines are what kind can use, in the order in which they are tried.
var engines = []string{"docker", "nerdctl", "podman"}

// answerTime bounds the question whether an engine works.
const answerTime = 30 * time.Second

// Engine is the container engine of a name, as EnvProvider has it; of "" the
// first that answers. The tool kind takes the first that is installed, which
// may be one whose service does not run.
func Engine(ctx context.Context, name string) (string, error) {
	if name != "" && !slices.Contains(engines, name) {
		return "", fmt.Errorf("%s=%q: must be docker, podman or nerdctl", EnvProvider, name)
	}
	for _, e := range engines {
		if name != "" && name != e {
			continue
		}
		err := engine(ctx, e, nil, "info")
		if err == nil {
			return e, nil
		}
		if name != "" {
			return "", err
		}
	}
	return "", errors.New("no container engine answers: kind needs docker or podman; install one, or start its service")
}

// engine runs a command of a container engine.
func engine(ctx context.Context, name string, out io.Writer, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return engineFor(ctx, name, out, args...)
}

// engineFor is engine for as long as ctx says.
func engineFor(ctx context.Context, name string, out io.Writer, args ...string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		words := strings.TrimSpace(said.String())
		return fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, strings.ReplaceAll(strings.TrimSuffix(": "+words, ": "), "\n", "; "))
	}
	return nil
}

func option(engine string) cluster.ProviderOption {
	switch engine {
	case "podman":
		return cluster.ProviderWithPodman()
	case "nerdctl":
		return cluster.ProviderWithNerdctl("")
	}
	return cluster.ProviderWithDocker()
}

// Archive writes an image of a container engine into a file, for LoadArchive.
// ok is false when the engine has no image of that name.
func Archive(ctx context.Context, engineName, image, file string) (ok bool, err error) {
	if engine(ctx, engineName, nil, "image", "inspect", image) != nil {
		return false, ctx.Err()
	}
	err = engineFor(ctx, engineName, nil, "save", "-o", file, image)
	return err == nil, err
}

// Bridge is the network interface of podman's network of kind clusters, "" when
// there is none yet.
func Bridge(ctx context.Context) string {
	var out bytes.Buffer
	if engine(ctx, "podman", &out, "network", "inspect", "--format", "{{.NetworkInterface}}", "kind") != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}
