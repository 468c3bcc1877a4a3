package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/python"
)

// pythonSuffix asks for the Python function of a sample transform.
const pythonSuffix = "/python"

// armETL is how an arm's ETL is initialised.
func armETL(a scenarios.Arm) (*api.ETLSpec, string, error) {
	spec, language, err := sampleETL(a.Transform, a.Comm)
	if err != nil {
		return nil, "", err
	}
	switch a.Put {
	case scenarios.PutDirect:
		spec.DirectPut = true
	case scenarios.PutRelay:
		spec.DirectPut = false // which a type that needs it refuses at init
	}
	if a.Stream == scenarios.StreamFQN {
		spec.Argument = api.ArgumentFQN
	}
	return spec, language, nil
}

// sampleETL is how a scenario's transform is initialised: a Go transform by a
// Pod spec, a Python one by its code.
func sampleETL(transform, commType string) (*api.ETLSpec, string, error) {
	name, server, _ := strings.Cut(transform, "/")
	isPython := "/"+server == pythonSuffix
	typ, err := comm.Lookup(commType)
	if err != nil {
		return nil, "", err
	}
	commType = typ.Name // AIStore knows no type without its "://"
	if isPython {
		source, ok := pythonSample(name)
		if !ok {
			return nil, "", fmt.Errorf("transform %q: there is no Python sample of that name", transform)
		}
		return &api.ETLSpec{Code: source, Runtime: json.RawMessage(`"python3"`), Communication: commType,
			DirectPut: typ.NeedsDirectPut}, "python", nil
	}
	if _, ok := transformers.Lookup(name); !ok {
		return nil, "", fmt.Errorf("transform %q: have %s", transform, strings.Join(transformers.Names(), ", "))
	}
	if server != "" {
		if !slices.Contains(python.WebServers(), server) || !slices.Contains(python.WebTransforms(), name) {
			return nil, "", fmt.Errorf("transform %q: behind %s there are %s", transform,
				strings.Join(python.WebServers(), ", "), strings.Join(python.WebTransforms(), ", "))
		}
		return &api.ETLSpec{Spec: imagePod(name+"-"+server, "", commType), Communication: commType, DirectPut: typ.NeedsDirectPut}, server, nil
	}
	return &api.ETLSpec{Spec: samplePod(name, commType), Communication: commType,
		DirectPut: typ.NeedsDirectPut}, "go", nil
}

// pythonSample is the source of a sample, with its parameter in front.
func pythonSample(name string) (source []byte, ok bool) {
	base, parameter := transformers.Split(name)
	if source, ok = python.Sample(base); !ok {
		return nil, false
	}
	switch base {
	case "expand", "shrink":
		n, ok := transformers.Factor(parameter)
		return fmt.Appendf(nil, "N = %d\n%s", n, source), ok
	case "sleep", "burn":
		d, ok := transformers.Time(parameter)
		return fmt.Appendf(nil, "SECONDS = %v\n%s", d.Seconds(), source), ok
	}
	return source, parameter == ""
}

// checkNames refuses transforms and communication types that do not exist, and
// gates that say nothing, all of them at once. To the scenario they are but
// labels.
func checkNames(s *scenarios.Scenario) error {
	var errs []error
	for i, t := range s.Transforms {
		if _, _, err := sampleETL(t, ""); err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: transforms[%d]: %w", s.Name, i, err))
		}
	}
	for i, c := range s.Arms.Comm {
		if _, err := comm.Lookup(c); err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: arms.comm[%d]: %w", s.Name, i, err))
		}
	}
	gates, err := judge.ParseGates(gatesAndArms(s))
	if err != nil {
		errs = append(errs, fmt.Errorf("scenario %s: %w", s.Name, err))
	}
	for i := range gates {
		if s.Gates[i].AbortAfter == 0 || err != nil {
			continue
		}
		if err := gates[i].CheckEarly(); err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: gates[%d].abort-after: %w (drop it)", s.Name, i, err))
		}
	}
	return errors.Join(errs...)
}

// gateCheck is a loader's Config.Check.
func gateCheck(s *scenarios.Scenario) (func(gate int, rows []results.Row) (bool, string), error) {
	gates, err := judge.ParseGates(gatesAndArms(s))
	return func(gate int, rows []results.Row) (bool, string) {
		g, about := gates[gate].Of(rows[0].Name)
		if !about {
			return true, ""
		}
		out := g.Check(rows)
		switch {
		case out.Count == 0:
			return true, "" // nothing to judge yet
		case out.Value == nil:
			return false, out.Text
		}
		return out.Holds, fmt.Sprintf("%.4g%s of %d operations", *out.Value, out.Unit, out.Count)
	}, err
}

// gatesAndArms are those of a scenario, as its run will tell them.
func gatesAndArms(s *scenarios.Scenario) (gates []results.Gate, arms []results.Arm) {
	for _, g := range s.Gates {
		gates = append(gates, results.Gate{On: g.On, Is: g.Is})
	}
	for _, a := range s.Plan() {
		arm := results.Arm{Name: a.Name, Comm: a.Comm, Mode: a.Mode, Transform: a.Transform, Put: a.Put, Argument: a.Stream}
		if a.Sized {
			arm.Size = a.Size.String()
		}
		arms = append(arms, arm)
	}
	return gates, arms
}

// samplePod is the Pod spec of a sample transformer.
func samplePod(name, commType string) api.Blob {
	base, parameter := transformers.Split(name)
	args := ""
	if parameter != "" {
		args = fmt.Sprintf("\n      args: [%s]", parameter)
	}
	return imagePod(base, args, commType)
}

func imagePod(image, args, commType string) api.Blob {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Pod
metadata:
  name: transformer-%s
  annotations:
    communication_type: "%s://"
spec:
  containers:
    - name: server
      image: %s%s%s
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`, image, strings.TrimSuffix(commType, "://"), imagePrefix, image, args)
}

// expect computes what a transform should give. The Python functions give the
// same bytes as the Go ones, but for that of tar-images, which encodes its
// pictures with another library.
func expect(transform, object string, src io.Reader) (loader.Digest, error) {
	name, server, _ := strings.Cut(transform, "/")
	t, ok := transformers.Output(name)
	if !ok || "/"+server == pythonSuffix && name == "tar-images" {
		return loader.Digest{}, loader.ErrNoExpectation
	}
	d := &digester{h: xxhash.New()}
	if err := t(context.Background(), d, src, comm.Info{Name: object, Size: -1}); err != nil {
		return loader.Digest{}, err
	}
	return loader.Digest{Sum: d.h.Sum64(), Size: d.n}, nil
}

// digester counts and digests what is written to it.
type digester struct {
	h *xxhash.Digest
	n int64
}

func (d *digester) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return d.h.Write(p)
}
