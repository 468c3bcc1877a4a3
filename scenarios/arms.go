package scenarios

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// EndpointCluster is the endpoint that is the cluster itself.
const EndpointCluster = "cluster"

// Levels of arms.put and arms.stream.
const (
	PutDirect  = "direct" // pods put results where they belong
	PutRelay   = "relay"  // results go back through the target
	StreamBody = "body"   // pods are given an object's bytes
	StreamFQN  = "fqn"    // pods are given the path of an object's file
)

// Arms are the factors of a run, which compares every combination of their
// levels with each other and with every transform. Of a factor without levels
// arms have what the communication type needs.
type Arms struct {
	// Comm are communication types: lower-case letters and digits, opaque
	// here, each once. Default [hpush, hpull, hrev, io].
	Comm []string `yaml:"comm,flow"`
	// Mode is "inline", "offline", "init" or several. Default [inline]. Inline
	// arms are loaded as load says; an offline arm is one job over its objects a
	// block, whatever load says. With load.model offline all arms are. An init
	// arm is one cold start a block: its ETL is made, asked for one object, and
	// removed.
	Mode []string `yaml:"mode,flow"`
	// Size are size classes, each with objects of its own, all of that size:
	// dataset.objects of them, or as many as dataset.max-bytes has room for;
	// dataset.kind generated only. Default none: sizes are dataset.size.
	Size []Bytes `yaml:"size,omitempty,flow"`
	// Put is "direct", "relay" or both: whether pods put the results of jobs
	// at their targets themselves. Default none.
	Put []string `yaml:"put,omitempty,flow"`
	// Stream is "body", "fqn" or both: what pods are given of an object.
	// Default none.
	Stream []string `yaml:"stream,omitempty,flow"`
	// Workers takes the place of load.workers, 1 to 100,000 each. Default none.
	Workers []int `yaml:"workers,omitempty,flow"`
	// Endpoints are servers beside the cluster, by name, as base URLs: each is an
	// arm of plain GETs of the same objects, which are stored there first, by PUT
	// below /v1/objects as in AIStore. "cluster" in place of a URL is the cluster
	// itself: two of those are an A/A pair. They go with a mix of get-etl, or of get,
	// which then are the only arms. Default none.
	Endpoints map[string]string `yaml:"endpoints,omitempty"`
	// Replicas is under how many names each arm is measured, 1 to 9: arms that
	// are alike show how much of a difference is chance (A/A). Default 1.
	Replicas int `yaml:"replicas"`
}

// Arm is one combination of levels. A level of a factor without levels is its
// zero value.
type Arm struct {
	// Name is unique in a scenario: the levels of the factors that have more
	// than one, with ':' between them ("md5:hpush"); of the only arm, its
	// communication type.
	Name      string
	Transform string // "none" without an ETL
	Comm      string // "none" without an ETL; an endpoint's name
	Endpoint  string // "" unless the arm has one: its URL, or EndpointCluster
	Mode      string
	Size      Bytes
	Sized     bool // Size is a class: 0 may be one
	Put       string
	Stream    string
	Workers   int
	Replica   int // from 1
}

// None is the transform and the communication type of an arm without an ETL.
const None = "none"

// ETL tells whether the arm has one.
func (a *Arm) ETL() bool { return a.Transform != None }

// Plan lists the arms in their order. Inline arms whose mix has no get-etl
// need no ETL: one without it stands for all transforms and types.
func (s *Scenario) Plan() []Arm {
	plain := s.Load.Mix[OpGetETL] == 0
	var arms []Arm
	if plain && len(s.Arms.Endpoints) == 0 && slices.Contains(s.Arms.Mode, ModeInline) {
		arms = append(arms, Arm{Transform: None, Comm: None, Mode: ModeInline})
	}
	for _, t := range s.Transforms {
		for _, c := range s.Arms.Comm {
			for _, m := range s.Arms.Mode {
				if m != ModeInline || !plain {
					arms = append(arms, Arm{Transform: t, Comm: c, Mode: m})
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Arms.Endpoints)) {
		arms = append(arms, Arm{Transform: None, Comm: name, Mode: ModeInline, Endpoint: s.Arms.Endpoints[name]})
	}
	arms = cross(arms, s.Arms.Size, func(a *Arm, v Bytes) { a.Size, a.Sized = v, true })
	arms = cross(arms, s.Arms.Put, func(a *Arm, v string) { a.Put = v })
	arms = cross(arms, s.Arms.Stream, func(a *Arm, v string) { a.Stream = v })
	arms = cross(arms, s.Arms.Workers, func(a *Arm, v int) { a.Workers = v })
	replicas := make([]int, max(1, s.Arms.Replicas))
	for i := range replicas {
		replicas[i] = i + 1
	}
	arms = cross(arms, replicas, func(a *Arm, v int) { a.Replica = v })
	name(arms)
	return arms
}

// Only is the scenario with one of its arms alone, under one name and in one
// block. Its size class comes with it, so that the data set is that of the arm.
func (s *Scenario) Only(a Arm) *Scenario {
	one := *s
	one.Trials = Trials{Blocks: 1, Order: s.Trials.Order}
	one.Arms = Arms{Comm: s.Arms.Comm, Mode: []string{a.Mode}, Replicas: 1}
	if a.Endpoint != "" {
		one.Arms.Endpoints = map[string]string{a.Comm: a.Endpoint}
		one.Load.Mix = map[string]int{OpGet: 1}
	}
	if a.ETL() {
		one.Transforms, one.Arms.Comm = []string{a.Transform}, []string{a.Comm}
	}
	if a.Sized {
		one.Arms.Size = []Bytes{a.Size}
	}
	if a.Put != "" {
		one.Arms.Put = []string{a.Put}
	}
	if a.Stream != "" {
		one.Arms.Stream = []string{a.Stream}
	}
	if a.Workers > 0 {
		one.Arms.Workers = []int{a.Workers}
	}
	return &one
}

// cross makes an arm of each arm and level; of no levels, none more.
func cross[T any](arms []Arm, levels []T, set func(*Arm, T)) []Arm {
	if len(levels) == 0 {
		return arms
	}
	var all []Arm
	for _, a := range arms {
		for _, l := range levels {
			set(&a, l)
			all = append(all, a)
		}
	}
	return all
}

func name(arms []Arm) {
	factors := []func(a *Arm) string{
		func(a *Arm) string { return a.Transform },
		func(a *Arm) string { return a.Comm },
		func(a *Arm) string { return a.Mode },
		func(a *Arm) string { return a.Size.String() },
		func(a *Arm) string { return a.Put },
		func(a *Arm) string { return a.Stream },
		func(a *Arm) string { return "w" + strconv.Itoa(a.Workers) },
		func(a *Arm) string { return "#" + strconv.Itoa(a.Replica) },
	}
	for _, level := range factors {
		varies := slices.ContainsFunc(arms, func(a Arm) bool { return level(&a) != level(&arms[0]) })
		for i := range arms {
			if varies {
				arms[i].Name = strings.TrimPrefix(arms[i].Name+":"+level(&arms[i]), ":")
			}
		}
	}
	for i := range arms {
		if arms[i].Name == "" {
			arms[i].Name = arms[i].Comm
		}
	}
}
