package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/pod/kube"
)

// Values of --pods.
const (
	podsProcess = "process"
	podsKube    = "kube"
)

// pythonImagesFlag collects --python-image [RUNTIME=]IMAGE.
type pythonImagesFlag struct {
	choices map[string]string
	args    []string // as they were given
}

// defaultPython is the runtime that an image without one is for.
const defaultPython = "python3"

const pythonImageUsage = "container `IMAGE` of a runtime of init code, which has its python3; RUNTIME=IMAGE is for another than python3; may repeat (default: python:3.11-slim, and that of each version)"

// Set adds a choice.
func (f *pythonImagesFlag) Set(choice string) error {
	name, image, ok := strings.Cut(choice, "=")
	if !ok {
		name, image = defaultPython, choice
	}
	if !runtimeVersion.MatchString(name) || image == "" || strings.ContainsAny(image, " =") {
		return fmt.Errorf("%q: must be an image, or RUNTIME=IMAGE such as python3.8=example.com/python:3.8", choice)
	}
	if f.choices == nil {
		f.choices = map[string]string{}
	}
	f.choices[name] = image
	f.args = append(f.args, "--python-image", choice)
	return nil
}

// Type is what help calls the value.
func (f *pythonImagesFlag) Type() string { return "IMAGE" }

// String lists the choices.
func (f *pythonImagesFlag) String() string {
	return strings.ReplaceAll(strings.Join(f.args, " "), "--python-image ", "")
}

// images are the chosen ones.
func (f *pythonImagesFlag) images() []string {
	return slices.Compact(slices.Sorted(maps.Values(f.choices)))
}

// runtimeVersion has the version of a runtime of init code, such as that of
// python3.11v2.
var runtimeVersion = regexp.MustCompile(`^python([23](?:\.\d{1,2})?)(?:v2)?$`)

// published are the versions of images for runtimes that name but the first
// number.
var published = map[string]string{"2": "2.7", "3": "3.11"}

// image is the container image of a runtime: the chosen one, or what is
// published of that version.
func (f *pythonImagesFlag) image(runtime string) (string, error) {
	if image := f.choices[runtime]; image != "" {
		return image, nil
	}
	m := runtimeVersion.FindStringSubmatch(runtime)
	if m == nil {
		return "", fmt.Errorf("no image is known for %q: give the targets one by --python-image %s=IMAGE", runtime, runtime)
	}
	version := m[1]
	if full := published[version]; full != "" {
		version = full
	}
	return "python:" + version + "-slim", nil
}

// leastPodCPUs is the least limit that the kernel takes, in CPUs, with the
// period of Kubernetes.
const leastPodCPUs = 0.01

// checkPods refuses flags that do not go together.
func (f *nodeFlags) checkPods() error {
	local := f.images != "" || f.environments != "" || len(f.runtimes.choices) > 0
	switch {
	case f.pods != podsProcess && f.pods != podsKube:
		return fmt.Errorf("--pods %q: must be process or kube", f.pods)
	case f.pods == podsKube && local:
		return errors.New("--images, --runtime and --environments: go with --pods process; pods of Kubernetes have images")
	case f.pods == podsKube && f.image == "":
		return errors.New("--image: is required with --pods kube: the image that has this program")
	case f.pods == podsProcess && (f.image != "" || len(f.pythons.choices) > 0 || f.podCPUs != 0 || f.sharedCPUs):
		return errors.New("--image, --python-image, --pod-cpus and --shared-cpus: go with --pods kube")
	case f.podCPUs != 0 && !(f.podCPUs >= leastPodCPUs):
		return fmt.Errorf("--pod-cpus %g: must be %g or more", f.podCPUs, leastPodCPUs)
	}
	return nil
}

// kubePods is the runtime of a target that runs on Kubernetes.
func (f *nodeFlags) kubePods(ctx context.Context, e *env, log *slog.Logger) (pod.Runtime, error) {
	client, err := kube.InCluster()
	if err != nil {
		return nil, err
	}
	self, err := kube.FindSelf(ctx, client, e.get)
	if err != nil {
		return nil, err
	}
	table, err := images("", "")
	if err != nil {
		return nil, err
	}
	return kube.New(ctx, kube.Config{Client: client, Target: f.id, Self: *self, Image: f.image, Samples: sampleArgs(table),
		Python: f.pythons.image, InstallEnv: podInstallEnv(os.Environ()),
		CPUs: f.podCPUs, SharedCPUs: f.sharedCPUs, Log: log})
}

// sampleArgs gives the arguments of this program that a sample's image name
// stands for.
func sampleArgs(table pod.Images) func(string) ([]string, bool) {
	return func(name string) ([]string, bool) {
		img, err := table.Find(name)
		if err != nil {
			return nil, false
		}
		return img.Entrypoint[1:], true
	}
}

// podInstallEnv is what pods in images of their own hand to pip: how packages
// are reached, and nothing of this container's own folders.
func podInstallEnv(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PIP_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env[installPrefix+name] = value
		}
	}
	return env
}

// publish finds out where clients reach this node, where that is told by
// Kubernetes.
func (f *nodeFlags) publish(ctx context.Context, e *env) error {
	if !f.nodePort {
		return nil
	}
	client, err := kube.InCluster()
	if err != nil {
		return err
	}
	f.public, err = kube.PublicURL(ctx, client, e.get)
	return err
}
