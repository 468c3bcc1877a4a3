package kube

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/etlbench/etlbench/cluster/pod"
)

// program says what a container runs.
func (r *Runtime) program(s *pod.Spec, m *manifests, c *corev1.Container) error {
	switch {
	case s.Runtime != "":
		return r.code(s, m, c)
	case s.PerObject:
		r.perObject(s, m, c)
	default:
		r.sample(s, c)
	}
	return nil
}

// sample replaces the name of a sample transformer by this program.
func (r *Runtime) sample(s *pod.Spec, c *corev1.Container) {
	if r.cfg.Samples == nil {
		return
	}
	args, ok := r.cfg.Samples(s.Image)
	if !ok {
		return
	}
	c.Image, c.ImagePullPolicy = r.cfg.Image, corev1.PullIfNotPresent
	if len(s.Command) == 0 {
		c.Command = append(append([]string{program}, args...), listenArgs()...)
	}
}

// listenArgs have this program listen where the pod's port is.
func listenArgs() []string { return []string{"--listen", ":$(" + pod.EnvPort + ")"} }

// perObject has a copy of this program run the command for every object. The
// command's own image needs nothing for it.
func (r *Runtime) perObject(s *pod.Spec, m *manifests, c *corev1.Container) {
	argv := slices.Concat(s.Command, s.Args)
	if r.cfg.Samples != nil {
		if args, ok := r.cfg.Samples(s.Image); ok {
			c.Image, c.ImagePullPolicy = r.cfg.Image, corev1.PullIfNotPresent
			if len(s.Command) == 0 {
				argv = slices.Concat([]string{program}, args, s.Args)
			}
		}
	}
	r.addTool(&m.pod.Spec, c)
	c.Command = append([]string{tool, "transform"}, listenArgs()...)
	c.Args = append([]string{"--command", "--"}, argv...)
}

// tool is this program in pods of other images.
const tool = toolDir + program

// addTool puts a copy of this program into a pod.
func (r *Runtime) addTool(s *corev1.PodSpec, c *corev1.Container) {
	mount := emptyDir(s, "etlbench-bin", toolDir)
	s.InitContainers = append(s.InitContainers, corev1.Container{
		Name: "etlbench", Image: r.cfg.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{program, "transform", "--install", tool}, VolumeMounts: []corev1.VolumeMount{mount},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, SecurityContext: confined(),
	})
	mount.ReadOnly = true
	c.VolumeMounts = append(c.VolumeMounts, mount)
}

// emptyDir adds a folder of a pod's own.
func emptyDir(s *corev1.PodSpec, name, at string) corev1.VolumeMount {
	s.Volumes = append(s.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	return corev1.VolumeMount{Name: name, MountPath: at}
}

// code serves init code in an image that has its Python.
func (r *Runtime) code(s *pod.Spec, m *manifests, c *corev1.Container) error {
	if r.cfg.Python == nil {
		return fmt.Errorf("%w: runtime: init code is not enabled here", pod.ErrSpec)
	}
	image, err := r.cfg.Python(s.Runtime)
	if err != nil {
		return fmt.Errorf("%w: runtime: %w", pod.ErrSpec, err)
	}
	if err := r.addFiles(s, m, c); err != nil {
		return err
	}
	r.addTool(&m.pod.Spec, c)
	c.Image, c.ImagePullPolicy, m.runs = image, corev1.PullIfNotPresent, image
	c.WorkingDir, c.SecurityContext = codeDir, confined()
	c.VolumeMounts = append(c.VolumeMounts, emptyDir(&m.pod.Spec, "tmp", tmpDir), emptyDir(&m.pod.Spec, "environments", packagesDir))
	c.Env = append(c.Env, corev1.EnvVar{Name: "HOME", Value: tmpDir})
	c.Command = append([]string{tool, "transform", "--python", "python3"}, listenArgs()...)
	if s.PerObject {
		c.Command = append(c.Command, "--io")
	}
	if _, ok := s.Files[pod.RequirementsFile]; ok {
		c.Command = append(c.Command, "--requirements", path.Join(codeDir, pod.RequirementsFile), "--environments", packagesDir)
		for _, name := range slices.Sorted(maps.Keys(r.cfg.InstallEnv)) {
			c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: r.cfg.InstallEnv[name]})
		}
	}
	c.Args = []string{path.Join(codeDir, pod.CodeFile)}
	return nil
}

// maxFiles bounds the files of a pod, bytes: a ConfigMap takes no more.
const maxFiles = 1 << 20

// addFiles puts the spec's files into a ConfigMap of the pod's name.
func (r *Runtime) addFiles(s *pod.Spec, m *manifests, c *corev1.Container) error {
	total := 0
	for _, data := range s.Files {
		total += len(data)
	}
	if total > maxFiles {
		return fmt.Errorf("%w: code: %d bytes with its dependencies, Kubernetes takes at most %d: put what is large into an image", pod.ErrSpec, total, maxFiles)
	}
	m.files = &corev1.ConfigMap{ObjectMeta: r.meta(s.Name, nil, nil), BinaryData: s.Files, Immutable: new(true)}
	m.files.Labels[LabelTarget] = r.cfg.Target
	m.pod.Spec.Volumes = append(m.pod.Spec.Volumes, corev1.Volume{Name: "code", VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: s.Name}}}})
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "code", MountPath: codeDir, ReadOnly: true})
	return nil
}

// confined is the security context of containers whose image this project
// chooses: they need no rights at all.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}
