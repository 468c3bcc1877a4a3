package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/transformers/python"
)

// envPython is the interpreter that serves a sample behind a web server. Pods
// without it look for one, which takes a while.
const envPython = "ETLBENCH_PYTHON"

// armSpec is how an arm's ETL is made: loader.Config.ETL.
type armSpec func(scenarios.Arm) (*api.ETLSpec, string, error)

// offered is the scenario without the transforms whose web server no Python of
// this machine has, a note for each such server, and armETL with the Pythons
// that were found. It is an error when no transform is left.
func offered(ctx context.Context, s *scenarios.Scenario) (*scenarios.Scenario, armSpec, []string, error) {
	missing, found := map[string]error{}, map[string]string{}
	var kept, notes []string
	for _, t := range s.Transforms {
		_, server, _ := strings.Cut(t, "/")
		err, asked := missing[server]
		if !asked && slices.Contains(python.WebServers(), server) {
			var i python.Interpreter
			if i, err = python.FindWeb(ctx, server); err != nil {
				notes = append(notes, fmt.Sprintf("Not offered here, and left out: transforms behind %s: %v.", server, err))
			}
			missing[server], found[server] = err, i.Path
		}
		if err == nil {
			kept = append(kept, t)
		}
	}
	etl := func(a scenarios.Arm) (*api.ETLSpec, string, error) {
		spec, language, err := armETL(a)
		if err == nil && found[language] != "" {
			spec.Env = append(spec.Env, api.EnvVar{Name: envPython, Value: found[language]})
		}
		return spec, language, err
	}
	if len(kept) == len(s.Transforms) {
		return s, etl, nil, nil
	}
	if len(kept) == 0 {
		return nil, nil, nil, fmt.Errorf("scenario %s: no transform is offered here: %s", s.Name, strings.Join(notes, " "))
	}
	less := *s
	less.Transforms = kept
	return &less, etl, notes, nil
}
