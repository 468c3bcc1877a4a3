package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// testRuntime makes manifests only.
func testRuntime() *Runtime {
	return &Runtime{cfg: Config{
		Target: "tgt00001", Image: "etlbench:test",
		Self: Self{
			Namespace: "ais", Node: "worker-1", Owner: &metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "target-0", UID: "u"},
			Volumes:     []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv"}}}},
			Mounts:      []corev1.VolumeMount{{Name: "data", MountPath: "/data", ReadOnly: true}},
			PullSecrets: []corev1.LocalObjectReference{{Name: "secret"}},
		},
		Samples: func(image string) ([]string, bool) { return []string{"transform", "md5"}, image == "etlbench/md5" },
		Python:  func(runtime string) (string, error) { return "python:" + runtime[len("python"):], nil },
		InstallEnv: map[string]string{
			"ETLBENCH_INSTALL_PIP_INDEX_URL": "https://mirror.example/simple",
		},
	}}
}

func parse(t *testing.T, text string) pod.Spec {
	p, err := pod.ParseYAML([]byte(text), func(string) bool { return false })
	require.NoError(t, err)
	p.Name = "etl-md5-tgt00001"
	return p.Spec
}

const usersPod = `
apiVersion: v1
kind: Pod
metadata:
  name: mine
  namespace: elsewhere
  labels: {team: a, app: b}
spec:
  tolerations: [{key: gpu, operator: Exists}]
  volumes: [{name: scratch, emptyDir: {}}]
  containers:
    - name: main
      image: example.com/mine:1
      imagePullPolicy: IfNotPresent
      ports: [{name: default, containerPort: 9000}]
      command: [/bin/serve, --port, $(PORT)]
      env: [{name: A, value: "1"}]
      volumeMounts: [{name: scratch, mountPath: /scratch}]
      readinessProbe: {httpGet: {path: /ready, port: default}, failureThreshold: 7}
      resources: {limits: {cpu: "1"}}
`

// TestPodOfAUser: everything that the user wrote stays, but for what is the
// target's to decide.
func TestPodOfAUser(t *testing.T) {
	s := parse(t, usersPod)
	s.Env = append(s.Env, api.EnvVar{Name: "AIS_TARGET_URL", Value: "http://t"}, api.EnvVar{Name: "A", Value: "2"})
	before := s.Template.DeepCopy()
	m, err := testRuntime().manifests(&s)
	require.NoError(t, err)
	require.Equal(t, before, s.Template, "the template is not touched")
	require.Nil(t, m.files)
	p, c := m.pod, m.pod.Spec.Containers[0]

	require.Equal(t, "etl-md5-tgt00001", p.Name)
	require.Equal(t, "ais", p.Namespace)
	require.Equal(t, map[string]string{
		"team": "a", "app": "ais", "nvidia.com/ais-etl-name": "etl-md5-tgt00001", "nvidia.com/ais-etl-node": "worker-1",
		"nvidia.com/ais-etl-target": "tgt00001", "app.kubernetes.io/name": "etl", "app.kubernetes.io/component": "server",
	}, p.Labels)
	require.Equal(t, "target-0", p.OwnerReferences[0].Name)
	require.Equal(t, []corev1.NodeSelectorRequirement{{Key: "kubernetes.io/hostname", Operator: "In", Values: []string{"worker-1"}}},
		p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions)
	require.Equal(t, corev1.RestartPolicyNever, p.Spec.RestartPolicy)
	require.False(t, *p.Spec.AutomountServiceAccountToken)
	require.Equal(t, "gpu", p.Spec.Tolerations[0].Key)
	require.Equal(t, []corev1.LocalObjectReference{{Name: "secret"}}, p.Spec.ImagePullSecrets)

	require.Equal(t, "main", c.Name)
	require.Equal(t, "example.com/mine:1", c.Image)
	require.Equal(t, corev1.PullIfNotPresent, c.ImagePullPolicy)
	require.Equal(t, []string{"/bin/serve", "--port", "$(PORT)"}, c.Command)
	require.Equal(t, []corev1.EnvVar{{Name: "PORT", Value: "9000"}, {Name: "AIS_TARGET_URL", Value: "http://t"}, {Name: "A", Value: "2"}}, c.Env)
	require.Equal(t, int32(7), c.ReadinessProbe.FailureThreshold)
	require.Equal(t, int32(5), c.ReadinessProbe.TimeoutSeconds)
	require.Equal(t, int32(10), c.ReadinessProbe.PeriodSeconds)
	require.Equal(t, corev1.TerminationMessageFallbackToLogsOnError, c.TerminationMessagePolicy)
	require.Equal(t, "1", c.Resources.Limits.Cpu().String())
	require.Equal(t, []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}, {Name: "data", MountPath: "/data", ReadOnly: true}}, c.VolumeMounts)

	require.Equal(t, corev1.ServiceTypeNodePort, m.service.Spec.Type)
	require.Equal(t, int32(9000), m.service.Spec.Ports[0].Port)
	require.Equal(t, map[string]string{"app": "ais", "nvidia.com/ais-etl-name": "etl-md5-tgt00001"}, m.service.Spec.Selector)
}

func TestProgramOfAPod(t *testing.T) {
	probe := pod.Probe{Path: "/health", Timeout: pod.DefaultProbeTimeout, Period: pod.DefaultProbePeriod}
	listen := []string{"--listen", ":$(PORT)"}
	tests := []struct {
		name    string
		spec    pod.Spec
		image   string
		pull    corev1.PullPolicy
		command []string
		args    []string
		inits   int
		files   bool
	}{
		{"a runtime spec", pod.Spec{Image: "example.com/x", Command: []string{"run"}}, "example.com/x", corev1.PullAlways, []string{"run"}, nil, 0, false},
		{"a sample", pod.Spec{Image: "etlbench/md5"}, "etlbench:test", corev1.PullIfNotPresent,
			append([]string{"/etlbench", "transform", "md5"}, listen...), nil, 0, false},
		{"a command per object", pod.Spec{Image: "debian", Command: []string{"gzip"}, Args: []string{"-c"}, PerObject: true}, "debian", corev1.PullAlways,
			append([]string{"/etlbench-bin/etlbench", "transform"}, listen...), []string{"--command", "--", "gzip", "-c"}, 1, false},
		{"a sample per object", pod.Spec{Image: "etlbench/md5", PerObject: true}, "etlbench:test", corev1.PullIfNotPresent,
			append([]string{"/etlbench-bin/etlbench", "transform"}, listen...), []string{"--command", "--", "/etlbench", "transform", "md5"}, 1, false},
		{"init code", pod.Spec{Runtime: "python3.11", Files: map[string][]byte{"code.py": {'x'}}}, "python:3.11", corev1.PullIfNotPresent,
			append([]string{"/etlbench-bin/etlbench", "transform", "--python", "python3"}, listen...), []string{"/code/code.py"}, 1, true},
		{"init code per object, with dependencies", pod.Spec{Runtime: "python3.11", PerObject: true, Files: map[string][]byte{"code.py": {'x'}, "requirements.txt": {'y'}}},
			"python:3.11", corev1.PullIfNotPresent, []string{"/etlbench-bin/etlbench", "transform", "--python", "python3", "--listen", ":$(PORT)", "--io",
				"--requirements", "/code/requirements.txt", "--environments", "/environments"}, []string{"/code/code.py"}, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.spec
			s.Name, s.Probe = "etl-x-tgt00001", probe
			m, err := testRuntime().manifests(&s)
			require.NoError(t, err)
			c := m.pod.Spec.Containers[0]
			require.Equal(t, tt.image, c.Image)
			require.Equal(t, tt.pull, c.ImagePullPolicy)
			require.Equal(t, tt.command, c.Command)
			require.Equal(t, tt.args, c.Args)
			require.Len(t, m.pod.Spec.InitContainers, tt.inits)
			require.Equal(t, tt.files, m.files != nil)
			require.Equal(t, int32(8000), c.Ports[0].ContainerPort)
			require.Equal(t, corev1.EnvVar{Name: "PORT", Value: "8000"}, c.Env[0])
			_, err = yaml.Marshal(m.pod)
			require.NoError(t, err)
		})
	}
}

func TestManifestsRefuse(t *testing.T) {
	tests := []struct {
		name string
		spec pod.Spec
		want string
	}{
		{"a folder that is not shared", pod.Spec{Image: "x", Reads: "/var/lib/objects"}, "argument: the pod cannot read the objects' folder /var/lib/objects"},
		{"a folder beside a shared one", pod.Spec{Image: "x", Reads: "/database"}, "argument: the pod cannot read"},
		{"large code", pod.Spec{Runtime: "python3.11", Files: map[string][]byte{"code.py": make([]byte, maxFiles+1)}}, "code: 1048577 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := testRuntime().manifests(&tt.spec)
			require.ErrorIs(t, err, pod.ErrSpec)
			require.ErrorContains(t, err, tt.want)
		})
	}
	s := pod.Spec{Image: "x", Reads: "/data/objects"}
	_, err := testRuntime().manifests(&s)
	require.NoError(t, err)
}
