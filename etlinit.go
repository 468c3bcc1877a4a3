package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/scenarios"
)

// initFlags are the flags of etl init. What is not given is left to the file,
// and then to the cluster.
type initFlags struct {
	name, file, comm, argument string
	initTimeout, objTimeout    time.Duration
	directPut                  bool
	env                        []string
	// of code
	runtime, deps            string
	transform, before, after string
	chunk                    scenarios.Bytes
}

// defaultInit is how long pods have to get ready when nobody says: what
// AIStore's own transformers ask for.
const defaultInit = 5 * time.Minute

func etlInitCmd(r *remote) *cobra.Command {
	var f, ofCode initFlags
	cmd := &cobra.Command{Use: "init", Short: "start an ETL from code or from a spec file", Args: cobra.NoArgs,
		Long:    "Starts an ETL on every target and waits until it runs. etl init -f FILE is etl init spec -f FILE.",
		Example: "  etlbench etl init code --name etl-upper --from-file upper.py\n  etlbench etl init -f pod.yaml"}
	spec := func(cmd *cobra.Command) func(*cobra.Command, []string) error {
		return r.do(func(ctx context.Context, _ []string) error {
			if f.file == "" {
				return misuse("no --from-file: give the FILE of a spec, or see: etlbench etl init code --help")
			}
			specs, err := f.specs(r.e, cmd.Flags())
			if err != nil {
				return err
			}
			return r.initETLs(ctx, specs)
		})
	}
	cmd.RunE = spec(cmd)
	f.common(cmd)
	sub := &cobra.Command{Use: "spec", Short: "start ETLs from a YAML file: Pods or runtime specs", Args: cobra.NoArgs,
		Long: "Starts the ETLs of a YAML file: each document is a Pod (pod.yaml) or a runtime spec (etl_spec.yaml), as\n" +
			"AIStore's transformers ship them. A name is the document's own, or --name if there is one document only.\n\n" +
			"${NAME} and ${NAME:-DEFAULT} in the file stand for variables of the environment. One that is neither set nor\n" +
			"has a default is an error; $${NAME} stays in the text as ${NAME}. A Pod's annotation support_direct_put\n" +
			"outweighs --support-direct-put.\n\n" +
			"-o json prints an array of {name, xaction_id}; the latter is what the cluster answered.",
		Example: "  etlbench etl init spec --from-file etl_spec.yaml\n  COMMUNICATION_TYPE=hpull:// etlbench etl init spec --name etl-md5 --from-file pod.yaml"}
	sub.RunE = spec(sub)
	f.common(sub)
	code := &cobra.Command{Use: "code", Short: "start an ETL from a Python file", Args: cobra.NoArgs,
		Long: "Starts an ETL from a Python file that has transform(input_bytes), or before(context),\n" +
			"transform(input_bytes, context) and after(context).\n\n" +
			"-o json prints an array of one {name, xaction_id}; the latter is what the cluster answered.",
		Example: "  etlbench etl init code --name etl-upper --from-file upper.py --comm-type hpull\n" +
			"  etlbench etl init code --name etl-md5 --from-file md5.py --before before --after after --chunk-size 32KiB",
		RunE: r.do(func(ctx context.Context, _ []string) error {
			s, err := ofCode.code()
			if err != nil {
				return err
			}
			return r.initETLs(ctx, []*api.ETLSpec{s})
		})}
	ofCode.common(code)
	ofCode.codeFlags(code.Flags())
	_ = code.MarkFlagRequired("name")
	_ = code.MarkFlagRequired("from-file")
	r.outputFlag(cmd, sub, code)
	cmd.AddCommand(code, sub)
	return cmd
}

// common adds the flags that all forms have.
func (f *initFlags) common(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "", "`NAME` of the ETL")
	fl.StringVarP(&f.file, "from-file", "f", "", "`FILE` with the code or the spec")
	fl.StringVar(&f.comm, "comm-type", "", "communication `TYPE`: hpush, hpull, hrev, io, ws or shm (default: the file's, else hpush)")
	fl.StringVar(&f.argument, "arg-type", "", "what the transformer is given of an object: `TYPE` \"\" (its bytes) or fqn (its file)")
	fl.DurationVar(&f.initTimeout, "init-timeout", 0, "how much `TIME` the pods have to get ready (default: the file's, else 5m)")
	fl.DurationVar(&f.objTimeout, "obj-timeout", 0, "how much `TIME` one object may take (default: the file's, else the cluster's)")
	fl.BoolVar(&f.directPut, "support-direct-put", false, "the transformer sends results of jobs to their targets by itself")
	fl.StringArrayVar(&f.env, "env", nil, "`NAME=VALUE` in the transformer's environment; may repeat")
}

func (f *initFlags) codeFlags(fl *pflag.FlagSet) {
	fl.StringVar(&f.runtime, "runtime", "python3", "`NAME` of the runtime, such as python3 or python3.11v2")
	fl.StringVar(&f.deps, "deps-file", "", "`FILE` of packages that the code needs, in pip's requirements format")
	fl.StringVar(&f.transform, "transform", "transform", "`NAME` of the function")
	fl.StringVar(&f.before, "before", "", "`NAME` of the function that is called before an object")
	fl.StringVar(&f.after, "after", "", "`NAME` of the function that is called after an object")
	fl.TextVar(&f.chunk, "chunk-size", scenarios.Bytes(0), "give the function an object in pieces of this `SIZE` (0B: as a whole)")
}

// commType is a communication type as the wire names it.
func commType(name string) string {
	if name == "" || strings.HasSuffix(name, "://") {
		return name
	}
	return name + "://"
}

func (f *initFlags) vars() (list []api.EnvVar, err error) {
	for _, kv := range f.env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			return nil, misuse("--env %q: must be NAME=VALUE", kv)
		}
		list = append(list, api.EnvVar{Name: name, Value: value})
	}
	return list, nil
}

// setName names an ETL in the dialects whose rules the name keeps: "name" is
// today's key, "id" that of AIStore until 1.3.28, which also had another word
// for the timeout. It knew no runtime specs.
func setName(s *api.ETLSpec, name string) error {
	if s.InitTimeout == 0 {
		s.InitTimeout = api.Duration(defaultInit)
	}
	err := api.CheckNewETLName(name, false)
	s.ID, s.Name = "", name
	if api.CheckNewETLName(name, true) == nil && (err != nil || len(s.Code)+len(s.Spec) > 0) {
		s.ID, s.Timeout = name, s.InitTimeout
	}
	if err != nil {
		s.Name = ""
	}
	if s.ETLName() == "" {
		return misuse("%w", err)
	}
	return nil
}

// code is the init message of a Python file.
func (f *initFlags) code() (*api.ETLSpec, error) {
	s := &api.ETLSpec{Communication: commType(f.comm), Argument: f.argument, DirectPut: f.directPut,
		Funcs: &api.Funcs{Transform: f.transform, Before: f.before, After: f.after}, ChunkSize: int64(f.chunk),
		InitTimeout: api.Duration(f.initTimeout), ObjTimeout: api.Duration(f.objTimeout)}
	var err error
	if s.Env, err = f.vars(); err != nil {
		return nil, err
	}
	if s.Runtime, err = json.Marshal(f.runtime); err != nil {
		return nil, err
	}
	if s.Code, err = readArg("--from-file", f.file); err != nil {
		return nil, err
	}
	if len(s.Code) == 0 {
		return nil, misuse("--from-file %s: it is empty", f.file)
	}
	if err := setName(s, f.name); err != nil {
		return nil, err
	}
	if f.deps != "" {
		s.Dependencies, err = readArg("--deps-file", f.deps)
	}
	return s, err
}

// readArg reads a file that a flag names.
func readArg(flag, file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, misuse("%s: %w", flag, err)
	}
	return data, nil
}

// specs are the init messages of a file, with what the flags change.
func (f *initFlags) specs(e *env, given *pflag.FlagSet) ([]*api.ETLSpec, error) {
	text, err := readArg("--from-file", f.file)
	if err != nil {
		return nil, err
	}
	if text, err = pod.Expand(text, e.lookup); err != nil {
		return nil, misuse("%s: %w", f.file, err)
	}
	specs, err := pod.ReadSpecs(text)
	if err != nil {
		return nil, misuse("%s: %w", f.file, err)
	}
	if f.name != "" && len(specs) > 1 {
		return nil, misuse("--name %s: %s has %d documents, each with a name of its own", f.name, f.file, len(specs))
	}
	names := map[string]bool{}
	for i, s := range specs {
		if err := f.change(s, given); err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
		if name := s.ETLName(); names[name] {
			return nil, misuse("%s: document %d: the name %s is taken by another document", f.file, i+1, name)
		}
		names[s.ETLName()] = true
	}
	return specs, nil
}

// change puts the flags that were given in place of what a file says.
func (f *initFlags) change(s *api.ETLSpec, given *pflag.FlagSet) error {
	if f.name != "" {
		s.Name = f.name
	}
	if s.Name == "" {
		return misuse("it has no name: give --name")
	}
	if f.comm != "" {
		s.Communication = f.comm
	}
	s.Communication = commType(s.Communication)
	if given.Changed("arg-type") {
		s.Argument = f.argument
	}
	if f.initTimeout != 0 {
		s.InitTimeout = api.Duration(f.initTimeout)
	}
	if f.objTimeout != 0 {
		s.ObjTimeout = api.Duration(f.objTimeout)
	}
	if given.Changed("support-direct-put") {
		s.DirectPut = f.directPut
	}
	more, err := f.vars()
	if err != nil {
		return err
	}
	s.Env = append(s.Env, more...)
	return setName(s, s.Name)
}

// started is an ETL in "etl init -o json".
type started struct {
	Name   string `json:"name"`
	XactID string `json:"xaction_id"`
}

// initETLs starts ETLs one after the other, until one fails.
func (r *remote) initETLs(ctx context.Context, specs []*api.ETLSpec) error {
	return r.with(ctx, func(c *api.Client) (err error) {
		done := []started{}
		for _, s := range specs {
			var id string
			if id, err = c.InitETL(ctx, s); err != nil {
				err = r.initFailed(s.ETLName(), err)
				break
			}
			done = append(done, started{s.ETLName(), id})
		}
		if perr := r.print(done, func() {
			for _, d := range done {
				fmt.Fprintln(r.e.out, d.Name)
			}
		}); err == nil {
			err = perr
		}
		return err
	})
}

// initFailed says what to do about an ETL that did not start: one that got as
// far as its pods keeps its name until it is removed.
func (r *remote) initFailed(name string, err error) error {
	var e *api.Error
	known := errors.As(err, &e) && (e.Kind == api.KindETL || errors.Is(err, api.ErrExists))
	if known || errors.Is(err, context.Canceled) {
		err = hint(err, r.try("etl show "+name)+"; and to use the name again: "+r.try("etl rm "+name))
	}
	if strings.Contains(err.Error(), name) {
		return err
	}
	return fmt.Errorf("etl %s: %w", name, err)
}
