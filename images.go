package main

import (
	"context"
	"maps"
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
	if file == "" {
		return table, nil
	}
	more, err := pod.LoadImages(file)
	maps.Copy(table, more)
	return table, err
}

// shim is the argv in front of a command that is run once an object.
func shim(exe string) []string { return []string{exe, "transform", "--command", "--"} }

// findTimeout bounds the search for interpreters: each is asked what it is.
const findTimeout = 30 * time.Second

// code gives the argv that serves init code in a runtime ("python3"). An
// interpreter that was found is remembered: the search runs every candidate.
func code(exe string) func(runtime string, perObject bool) ([]string, error) {
	var (
		mu    sync.Mutex
		found = map[string]python.Interpreter{} // guarded by mu
	)
	return func(runtime string, perObject bool) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		py, ok := found[runtime]
		if !ok {
			ctx, cancel := context.WithTimeout(context.Background(), findTimeout)
			defer cancel()
			var err error
			if py, err = python.Find(ctx, runtime); err != nil {
				return nil, err
			}
			found[runtime] = py
		}
		argv := []string{exe, "transform", "--python", py.Path}
		if perObject {
			argv = append(argv, "--io")
		}
		return append(argv, pod.CodeFile), nil
	}
}
