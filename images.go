package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/python"
)

// imagePrefix names the sample transformers in Pod specs: "etlbench/md5".
const imagePrefix = "etlbench/"

// images is the process runtime's table: this program as each of its sample
// transformers, and what the user's file adds.
func images(exe, file string) (pod.Images, error) {
	table := pod.Images{}
	for _, name := range transformers.Names() {
		table[imagePrefix+name] = pod.Image{Entrypoint: []string{exe, "transform", name}, Announces: true}
	}
	for _, server := range python.WebServers() {
		for _, name := range python.WebTransforms() {
			table[imagePrefix+name+"-"+server] = pod.Image{Entrypoint: []string{exe, "transform", "--web", server, name}}
		}
	}
	if file == "" {
		return table, nil
	}
	more, err := pod.LoadImages(file)
	maps.Copy(table, more)
	return table, err
}

// shim is the argv in front of a command that is run once an object.
func shim(exe string) []string { return []string{exe, "transform", "--command", "--"} }

// installPrefix is in front of the names of this process's environment
// variables that pods hand to pip, and to nothing else. An ETL's own are apart
// from them so.
const installPrefix = "ETLBENCH_INSTALL_"

// installNames are the variables that installing a package may need; beside
// them all that begin with PIP_.
var installNames = []string{"HOME", "PATH", "TMPDIR", "LANG", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE",
	"SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

func installEnv() map[string]string {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PIP_") || slices.Contains(installNames, name) {
			env[installPrefix+name] = value
		}
	}
	return env
}

// findTimeout bounds the search for interpreters: each is asked what it is.
const findTimeout = 30 * time.Second

// code gives what serves init code in a runtime ("python3"). An interpreter that
// was found is remembered: the search runs every candidate. Dependencies are
// installed by the pod itself, below the folder environments, so that whatever
// ends the pod ends that too.
func code(exe string, runtimes python.Runtimes, environments string) func(pod.Spec) (pod.Image, error) {
	var (
		mu    sync.Mutex
		found = map[string]python.Interpreter{} // guarded by mu
	)
	return func(s pod.Spec) (pod.Image, error) {
		mu.Lock()
		defer mu.Unlock()
		py, ok := found[s.Runtime]
		if !ok {
			ctx, cancel := context.WithTimeout(context.Background(), findTimeout)
			defer cancel()
			var err error
			if py, err = runtimes.Find(ctx, s.Runtime); err != nil {
				return pod.Image{}, err
			}
			found[s.Runtime] = py
		}
		img := pod.Image{Announces: true, Runs: py.String()}
		argv := []string{exe, "transform", "--python", py.Path}
		if s.PerObject {
			argv = append(argv, "--io")
		}
		if _, ok := s.Files[pod.RequirementsFile]; ok {
			argv = append(argv, "--requirements", pod.RequirementsFile, "--environments", environments)
			img.Env = installEnv()
		}
		img.Entrypoint = append(argv, pod.CodeFile)
		return img, nil
	}
}
