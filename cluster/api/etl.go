package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Blob is bytes that JSON carries as standard base64. Text that is no base64
// is taken as it stands, as the reference's own curl lines send it.
type Blob []byte

// MarshalJSON writes base64.
func (b Blob) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(b)) }

// UnmarshalJSON reads base64 or plain text.
func (b *Blob) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		raw = []byte(s)
	}
	*b = raw
	return nil
}

// Duration is a Go duration string on the wire ("45s"). "", null and absent
// are zero, which means the default of the field.
type Duration time.Duration

// MarshalJSON writes "45s", and "5m" rather than "5m0s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String is the duration as the wire has it.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		return strings.TrimSuffix(s, "0s")
	}
	return s
}

// UnmarshalJSON reads "45s", "" and null.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%s is not a duration: write it as \"45s\"", data)
	}
	if s == "" {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration: write it as \"45s\"", s)
	}
	*d = Duration(v)
	return nil
}

// Funcs names the functions of init code.
type Funcs struct {
	Transform string `json:"transform,omitempty"`
	Before    string `json:"before,omitempty"`
	After     string `json:"after,omitempty"`
}

// ETLSpec is the body of PUT /v1/etl, in all its forms: code, a Pod spec, or
// (Runtime an object) a runtime spec. Exactly one of ID (old dialect) and Name
// (new) names the ETL.
type ETLSpec struct {
	ID            string          `json:"id,omitempty"`
	Name          string          `json:"name,omitempty"`
	Communication string          `json:"communication,omitempty"` // "" is the spec's annotation, else hpush://
	Spec          Blob            `json:"spec,omitempty"`          // Pod YAML
	Code          Blob            `json:"code,omitempty"`
	Dependencies  Blob            `json:"dependencies,omitempty"` // pip requirements
	Runtime       json.RawMessage `json:"runtime,omitempty"`      // "python3", or {image, command, env}
	Funcs         *Funcs          `json:"funcs,omitempty"`
	ChunkSize     int64           `json:"chunk_size,omitempty"`
	InitTimeout   Duration        `json:"init_timeout,omitempty"`
	Timeout       Duration        `json:"timeout,omitempty"` // old name of InitTimeout
	ObjTimeout    Duration        `json:"obj_timeout,omitempty"`
	DirectPut     bool            `json:"support_direct_put,omitempty"`
	// Argument is what pods are given of an object: "" its bytes, "fqn" its
	// file's path. "url" is what hpull pods get anyway.
	Argument string   `json:"argument,omitempty"`
	Env      []EnvVar `json:"env,omitempty"`
	// Resources are the container's, in the form of Kubernetes.
	Resources json.RawMessage `json:"resources,omitempty"`
}

// ParseETLSpec reads the body of PUT /v1/etl. Its error names every field that
// is wrong.
func ParseETLSpec(data []byte) (s ETLSpec, err error) {
	if err = json.Unmarshal(data, &s); err == nil {
		return s, nil
	}
	problems := FieldProblems("", data, func(b []byte) error { return json.Unmarshal(b, new(ETLSpec)) })
	if len(problems) > 0 {
		err = errors.New(strings.Join(problems, "; "))
	}
	return s, err
}

// ArgumentFQN is the Argument of ETLs that read the objects' files.
const ArgumentFQN = "fqn"

// RuntimeSpec is the object form of ETLSpec.Runtime.
type RuntimeSpec struct {
	Image   string   `json:"image"`
	Command []string `json:"command,omitempty"`
	Env     []EnvVar `json:"env,omitempty"`
}

// ETLName is the name in whichever dialect it came.
func (s *ETLSpec) ETLName() string {
	if s.Name != "" {
		return s.Name
	}
	return s.ID
}

// Old tells the old dialect: the reply to init is then the ETL's name.
func (s *ETLSpec) Old() bool { return s.Name == "" }

// ETLInfo is one line of the list of ETLs.
type ETLInfo struct {
	ID       string `json:"id"` // the ETL's name
	Stage    string `json:"stage"`
	XactID   string `json:"xaction_id"`
	ObjCount int64  `json:"obj_count"`
	InBytes  int64  `json:"in_bytes"`
	OutBytes int64  `json:"out_bytes"`
}

// ETLDetails is the reply to GET /v1/etl/NAME: the init message, wrapped for
// new clients and at top level for old ones, and what failed.
type ETLDetails struct {
	ETLSpec
	Init   ETLSpec    `json:"init_msg"`
	Stage  string     `json:"stage"`
	Reason string     `json:"reason,omitempty"` // why it is Aborted, when nobody stopped it
	Errors []ObjError `json:"obj_errors,omitempty"`
	// Interpreters are what the runtime of init code really is: version and
	// path, by target. Empty unless it runs.
	Interpreters map[string]string `json:"interpreters,omitempty"`
	// Starts are how long pods took to start, by target. Empty unless it runs,
	// and was asked for by QparamStarts.
	Starts map[string]PodStart `json:"pod_starts,omitempty"`
}

// PodStart is how long a pod took to start, stage by stage, in nanoseconds.
type PodStart struct {
	Pull   time.Duration `json:"pull"`   // of its image; 0 where none was pulled
	Launch time.Duration `json:"launch"` // from when it was asked for until its program ran, without Pull
	Ready  time.Duration `json:"ready"`  // from there until it was ready
}

// Total is how long the pod took.
func (s PodStart) Total() time.Duration { return s.Pull + s.Launch + s.Ready }

// ObjError is one object that an ETL failed on.
type ObjError struct {
	Object string `json:"obj_name"` // ais://bucket/object
	Msg    string `json:"msg"`
	Code   int    `json:"ecode"`
}

// ETLHealth is one pod's health. Clients of 2022 expect what it takes of its
// machine here as well.
type ETLHealth struct {
	TargetID string `json:"target_id"`
	Status   string `json:"health_status"`
	ETLUsage
}

// ETLMetrics is what one pod takes of its machine.
type ETLMetrics struct {
	TargetID string `json:"target_id"`
	ETLUsage
}

// ETLUsage is what a pod takes of its machine.
type ETLUsage struct {
	CPU    float64 `json:"cpu"` // cores
	Memory int64   `json:"mem"` // bytes
}

// ETLLogs is one pod's log.
type ETLLogs struct {
	TargetID string `json:"target_id"`
	Logs     []byte `json:"logs"`
}
