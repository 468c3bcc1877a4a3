package scenarios

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
)

// Most that a scenario may ask for. The largest data set, maxObjects of
// maxObjectSize, still fits an int64 of bytes.
const (
	maxTargets    = 256
	maxWorkers    = 100_000
	maxWeight     = 1_000_000
	maxObjects    = 5_000_000
	maxShards     = 1000
	maxObjectSize = Bytes(512 << 30)
	maxArms       = 400
	maxBlocks     = 10_000
	maxSamples    = 10_000 // a summary keeps some KB of each
	maxRate       = Rate(1e6)
	maxStages     = 1000
	maxListed     = 1000 // faults, gates, sizes
)

// Validate checks every value and every rule between values; nil when the
// scenario can be run. The error is an [*Error] with all problems, which
// have paths but no positions. Parse has called it already; callers need it
// after changing a scenario.
func (s *Scenario) Validate() error { return asError(s.problems()) }

// checks collects problems by path.
type checks []Problem

// problems is what Validate reports.
func (s *Scenario) problems() []Problem {
	var c checks
	c.oneOf("apiVersion", s.APIVersion, APIVersion)
	c.matches("name", s.Name, `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`,
		"1 to 64 letters, digits, '-', '_' and '.', starting with a letter or digit")
	c.target(s.Target)
	c.dataset(s)
	c.arms(s)
	c.load(s.Load, s.Target.Targets)
	c.phases(s)
	c.trials(s.Trials)
	c.sampling("verify.content", s.Verify.Content, SampleAll, "sample 1%", SampleSize, SampleOff)
	c.words("collect.cgroups", s.Collect.Cgroups, Components()...)
	c.within("collect.interval", s.Collect.Interval, Duration(100e6), Duration(60e9))
	c.sampling("collect.phases", s.Collect.Phases, SampleAll, "sample 1%", SampleOff)
	c.faults(s.Faults)
	if len(s.Faults) > 0 && slices.Contains(s.Arms.Mode, ModeInit) {
		c.add("faults", "do not go with arms.mode init (measure cold starts by themselves)")
	}
	c.gates(s.Gates)
	c.words("outputs", s.Outputs, "text", "json", "md", "csv", "html", "bench", "hgrm", "prom", "hlog")
	return c
}

func (c *checks) add(path, format string, args ...any) {
	*c = append(*c, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (c *checks) oneOf(path, got string, valid ...string) {
	switch {
	case slices.Contains(valid, got):
	case got == "":
		c.add(path, "missing (use %s)", orList(valid))
	default:
		c.add(path, "unknown value %q %s", got, suggest(got, valid))
	}
}

func (c *checks) between(path string, got, low, high int) {
	if got < low || got > high {
		c.add(path, "%d is out of range (use %d to %d)", got, low, high)
	}
}

func (c *checks) atLeast(path string, got, low Duration) {
	switch {
	case got >= low:
	case got < 0:
		c.add(path, "%s is negative (use a time above zero)", got)
	default:
		c.add(path, "is zero (use a time above zero)")
	}
}

func (c *checks) within(path string, got, low, high Duration) {
	if got < low || got > high {
		c.add(path, "%s is out of range (use %s to %s)", got, low, high)
	}
}

// sampling checks that a Sampling is one of the words, or a share where the
// words have one.
func (c *checks) sampling(path string, got Sampling, words ...Sampling) {
	if _, ok := got.Share(); ok && (slices.Contains(words, got) || strings.HasPrefix(string(got), "sample ")) {
		return
	}
	valid := make([]string, len(words))
	for i, w := range words {
		valid[i] = string(w)
	}
	c.oneOf(path, string(got), valid...)
}

// above checks a number that has to be above 0 and at most high.
func (c *checks) above(path string, got, high float64) {
	if !(got > 0 && got <= high) { // NaN too
		c.add(path, "%v is out of range (use above 0 to %v)", got, high)
	}
}

func (c *checks) percent(path string, got, high Percent) {
	if !(got > 0 && got <= high) {
		c.add(path, "%s is out of range (use above 0%% to %s)", got, high)
	}
}

func (c *checks) matches(path, got, pattern, rule string) {
	if !regexp.MustCompile(pattern).MatchString(got) {
		c.add(path, "%q is no valid name (use %s)", got, rule)
	}
}

// unique checks a list of words: not empty, none twice. each checks one.
func (c *checks) unique(path string, got []string, each func(path, word string)) {
	if len(got) == 0 {
		c.add(path, "is empty (name at least one)")
	}
	for i, word := range got {
		at := fmt.Sprintf("%s[%d]", path, i)
		if first := slices.Index(got, word); first < i {
			c.add(at, "%q is in the list already (drop one)", word)
			continue
		}
		each(at, word)
	}
}

func (c *checks) words(path string, got []string, valid ...string) {
	c.unique(path, got, func(at, word string) { c.oneOf(at, word, valid...) })
}

// Bounds of the limits of a target.
const (
	MinTargetCPU  Percent   = 5
	MaxTargetCPU  Percent   = 100 * maxTargets
	MinTargetLink Bandwidth = 1 << 10
)

func (c *checks) target(t Target) {
	for i, p := range t.Proxies {
		u, err := url.Parse(p)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.add(fmt.Sprintf("target.proxies[%d]", i), "%q is not a URL (write it like http://127.0.0.1:8080)", p)
		}
	}
	name, ok := strings.CutPrefix(t.Bucket, api.ProviderAIS+"://")
	if !ok {
		c.add("target.bucket", "%q is not a bucket (write it like ais://etlbench-src)", t.Bucket)
	} else if err := api.CheckBucketName(name); err != nil {
		c.add("target.bucket", "%s", err)
	}
	c.between("target.targets", t.Targets, 1, maxTargets)
	if t.CPU != 0 && !(t.CPU >= MinTargetCPU && t.CPU <= MaxTargetCPU) {
		c.add("target.cpu", "%s is not a limit (use %s to %s of one CPU)", t.CPU, MinTargetCPU, MaxTargetCPU)
	}
	if t.Link != 0 && t.Link < MinTargetLink {
		c.add("target.link", "%s is not a bandwidth (use %s or more)", t.Link, MinTargetLink)
	}
}

func (c *checks) dataset(s *Scenario) {
	d := s.Dataset
	switch d.Kind {
	case KindGenerated:
		c.between("dataset.objects", d.Objects, 1, maxObjects)
		if len(s.Arms.Size) == 0 {
			c.size(d.Size)
		} else if !d.Size.IsZero() {
			c.add("dataset.size", "arms.size says which sizes there are (drop one)")
		}
		if !(d.Compressible >= 0 && d.Compressible <= 1) { // NaN too
			c.add("dataset.compressible", "%v is out of range (use 0 to 1)", d.Compressible)
		}
	case KindPictures, KindAudio:
		c.between("dataset.objects", d.Objects, 1, maxShards)
	case KindFolder:
		if d.Dir == "" {
			c.add("dataset.dir", "missing (kind folder needs it)")
		}
		if strings.ContainsFunc(d.Dir, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			c.add("dataset.dir", "%q has control characters or is not UTF-8", d.Dir)
		}
		c.only("dataset.objects", d.Objects != 0, d.Kind, "generated, pictures and audio")
	default:
		c.oneOf("dataset.kind", d.Kind, KindGenerated, KindPictures, KindAudio, KindFolder)
		return
	}
	c.only("dataset.dir", d.Kind != KindFolder && d.Dir != "", d.Kind, KindFolder)
	c.only("dataset.size", d.Kind != KindGenerated && !d.Size.IsZero(), d.Kind, KindGenerated)
	c.only("arms.size", d.Kind != KindGenerated && len(s.Arms.Size) > 0, d.Kind, KindGenerated)
	if d.MaxBytes < 0 {
		c.add("dataset.max-bytes", "%s is negative (use a size above zero)", d.MaxBytes)
	}
	if d.MaxBytes != 0 && len(s.Arms.Size) == 0 {
		c.add("dataset.max-bytes", "has no meaning without arms.size (drop it)")
	}
	c.only("dataset.compressible", d.Kind != KindGenerated && d.Compressible != 0, d.Kind, KindGenerated)
}

// only refuses a key that the dataset's kind would leave unused.
func (c *checks) only(path string, given bool, kind, kinds string) {
	if given {
		c.add(path, "has no meaning with kind %s (drop it, it is for kind %s)", kind, kinds)
	}
}

func (c *checks) size(s Size) {
	const path = "dataset.size"
	c.oneOf(path+".dist", s.Dist, DistConst, DistUniform, DistLognormal, DistPareto, DistWeighted, DistTrace)
	bounded := s.Dist == DistUniform || s.Dist == DistLognormal || s.Dist == DistPareto
	for _, k := range []struct {
		key  string
		v    Bytes
		used bool
	}{
		{"value", s.Value, s.Dist == DistConst},
		{"min", s.Min, bounded},
		{"max", s.Max, bounded},
		{"median", s.Median, s.Dist == DistLognormal},
	} {
		c.objectSize(path+"."+k.key, k.v)
		c.sizeKey(s.Dist, k.key, k.v != 0, k.used)
	}
	c.sizeKey(s.Dist, "sigma", s.Sigma != 0, s.Dist == DistLognormal)
	c.sizeKey(s.Dist, "alpha", s.Alpha != 0, s.Dist == DistPareto)
	c.sizeKey(s.Dist, "of", len(s.Of) > 0, s.Dist == DistWeighted)
	c.sizeKey(s.Dist, "file", s.File != "", s.Dist == DistTrace)
	if bounded && s.Min > s.Max && !(s.Dist == DistPareto && s.Max == 0) {
		c.add(path+".min", "%s is above max, %s (swap them)", s.Min, s.Max)
	}
	switch s.Dist {
	case DistLognormal:
		c.above(path+".sigma", s.Sigma, 10)
		if s.Median == 0 {
			c.add(path+".median", "is zero (use a size above zero)")
		}
	case DistPareto:
		c.above(path+".alpha", s.Alpha, 100)
		if s.Min == 0 {
			c.add(path+".min", "is zero (use a size above zero)")
		}
	case DistWeighted:
		c.shares(path+".of", s.Of)
	case DistTrace:
		if s.File == "" {
			c.add(path+".file", "missing (dist trace needs it)")
		}
	}
}

func (c *checks) endpoints(s *Scenario) {
	for _, name := range slices.Sorted(maps.Keys(s.Arms.Endpoints)) {
		at := "arms.endpoints." + name
		c.matches(at, name, `^[a-z0-9-]{1,32}$`, "a name of lower-case letters, digits and '-'")
		if slices.Contains(s.Arms.Comm, name) {
			c.add(at, "is a communication type of arms.comm too (choose another name)")
		}
		if v := s.Arms.Endpoints[name]; v != EndpointCluster {
			if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
				c.add(at, "%q is not %s or a server's URL (write it like http://127.0.0.1:8080)", v, EndpointCluster)
			}
		}
	}
	for op, w := range s.Load.Mix {
		if w > 0 && op != OpGetETL && op != OpGet && len(s.Arms.Endpoints) > 0 {
			c.add("arms.endpoints", "are asked by GETs only: they do not go with %s in load.mix (drop one)", op)
		}
	}
}

// sizeKey refuses a key that the distribution leaves unused.
func (c *checks) sizeKey(dist, key string, given, used bool) {
	if given && !used {
		c.add("dataset.size."+key, "has no meaning with dist %s (its keys: %s)", dist, strings.Join(sizeKeys(dist), ", "))
	}
}

func (c *checks) shares(path string, of []Share) {
	if len(of) == 0 || len(of) > maxListed {
		c.add(path, "has %d sizes (use 1 to %d)", len(of), maxListed)
		return
	}
	sum := 0
	for i, s := range of {
		c.objectSize(fmt.Sprintf("%s[%d].size", path, i), s.Size)
		c.between(fmt.Sprintf("%s[%d].weight", path, i), s.Weight, 0, maxWeight)
		sum += max(0, s.Weight)
	}
	if sum == 0 {
		c.add(path, "has no weight above zero (give one to a size)")
	}
}

func (c *checks) objectSize(path string, v Bytes) {
	if v < 0 || v > maxObjectSize {
		c.add(path, "%s is out of range (use 0B to %s)", v, maxObjectSize)
	}
}

func (c *checks) arms(s *Scenario) {
	made := slices.Contains(s.Arms.Mode, ModeOffline) || slices.Contains(s.Arms.Mode, ModeInit)
	if len(s.Transforms) == 0 && (made || s.Load.Mix[OpGetETL] > 0) {
		c.add("transforms", "missing (name at least one, like [md5])")
	}
	if len(s.Transforms) > 0 {
		c.unique("transforms", s.Transforms, func(at, word string) {
			c.matches(at, word, `^[a-z0-9-]{1,32}(/(python|http|flask|fastapi))?$`,
				"lower-case letters, digits and '-', like md5, or md5/python for the Python function, or md5/http, md5/flask, md5/fastapi")
		})
	}
	c.unique("arms.comm", s.Arms.Comm, func(at, word string) {
		c.matches(at, word, `^[a-z0-9]{1,32}$`, "lower-case letters and digits, like hpush")
	})
	c.endpoints(s)
	c.words("arms.mode", s.Arms.Mode, ModeInline, ModeOffline, ModeInit)
	if s.Load.Model == ModelOffline && slices.Contains(s.Arms.Mode, ModeInline) {
		c.add("arms.mode", "has inline arms, which load.model offline does not load (drop them, or choose another model)")
	}
	for i, v := range s.Arms.Size {
		at := fmt.Sprintf("arms.size[%d]", i)
		c.objectSize(at, v)
		if slices.Index(s.Arms.Size, v) < i {
			c.add(at, "%s is in the list already (drop one)", v)
		}
	}
	if len(s.Arms.Put) > 0 {
		c.words("arms.put", s.Arms.Put, PutDirect, PutRelay)
	}
	if len(s.Arms.Stream) > 0 {
		c.words("arms.stream", s.Arms.Stream, StreamBody, StreamFQN)
	}
	for i, v := range s.Arms.Workers {
		at := fmt.Sprintf("arms.workers[%d]", i)
		c.between(at, v, 1, maxWorkers)
		if slices.Index(s.Arms.Workers, v) < i {
			c.add(at, "%d is in the list already (drop one)", v)
		}
	}
	c.between("arms.replicas", s.Arms.Replicas, 1, 9)
	if n := (len(s.Transforms)*len(s.Arms.Comm)*len(s.Arms.Mode) + len(s.Arms.Endpoints)) * max(1, len(s.Arms.Size)) * max(1, len(s.Arms.Put)) *
		max(1, len(s.Arms.Stream)) * max(1, len(s.Arms.Workers)) * max(1, s.Arms.Replicas); n > maxArms {
		c.add("arms", "make %d combinations with the transforms, more than %d (drop some levels)", n, maxArms)
	} else if samples := max(1, n) * s.Trials.Blocks * s.Load.operations(); samples > maxSamples {
		c.add("trials.blocks", "make %d samples with the arms and operations, more than %d (use fewer blocks or levels)", samples, maxSamples)
	}
}

func (c *checks) load(l Load, targets int) {
	c.oneOf("load.model", l.Model, ModelClosed, ModelOpen, ModelEpoch, ModelOffline)
	c.between("load.workers", l.Workers, 1, maxWorkers)
	c.model("load.workers-per-target", l.WorkersPerTarget != 0, l.Model, ModelClosed, ModelEpoch)
	if n := l.WorkersPerTarget; n != 0 {
		c.between("load.workers-per-target", n, 1, maxWorkers)
		if all := n * targets; l.Workers != all {
			c.add("load.workers", "%d are not the %d of load.workers-per-target x target.targets (drop one)", l.Workers, all)
		}
	}
	c.atLeast("load.timeout", l.Timeout, 1)
	c.keys(l)
	c.mix(l.Mix)
	if l.Think < 0 {
		c.add("load.think", "%s is negative (use 0s or more)", l.Think)
	}
	c.model("load.think", l.Think != 0, l.Model, ModelClosed, ModelEpoch)
	c.model("load.epochs", l.Epochs != 0, l.Model, ModelEpoch)
	if l.Model == ModelEpoch {
		c.between("load.epochs", l.Epochs, 1, maxBlocks)
	}
	c.model("load.arrival", l.Arrival != "", l.Model, ModelOpen)
	c.model("load.rate", l.Rate != 0, l.Model, ModelOpen)
	c.model("load.stages", len(l.Stages) > 0, l.Model, ModelOpen)
	c.model("load.trace", l.Trace != "", l.Model, ModelOpen)
	c.model("load.pacer", l.Pacer != "", l.Model, ModelOpen)
	c.model("load.in-flight", l.InFlight != 0, l.Model, ModelOpen)
	if l.Model == ModelOpen {
		c.open(l)
	}
}

// model refuses a key that the load's model would leave unused.
func (c *checks) model(path string, given bool, model string, models ...string) {
	if given && !slices.Contains(models, model) {
		c.add(path, "has no meaning with load.model %s (drop it, it is for model %s)", model, orList(models))
	}
}

func (c *checks) open(l Load) {
	c.between("load.in-flight", l.InFlight, 1, maxWorkers)
	if l.Pacer != "" {
		c.oneOf("load.pacer", l.Pacer, PacerSleep, PacerSpin)
	}
	if l.Workers > l.InFlight {
		c.add("load.workers", "%d are more than load.in-flight, %d (use at most as many)", l.Workers, l.InFlight)
	}
	c.oneOf("load.arrival", l.Arrival, ArrivalConstant, ArrivalPoisson, ArrivalTrace)
	trace := l.Arrival == ArrivalTrace || l.Trace != ""
	switch {
	case trace && l.Trace == "":
		c.add("load.trace", "missing (arrival trace needs it)")
	case trace && l.Arrival != ArrivalTrace:
		c.add("load.trace", "has no meaning with arrival %s (drop one)", l.Arrival)
	case trace && (l.Rate != 0 || len(l.Stages) > 0):
		c.add("load.trace", "says when requests are due, and so do load.rate and load.stages (drop one)")
	case !trace && l.Rate == 0 && len(l.Stages) == 0:
		c.add("load.rate", "missing (model open needs it, or load.stages, or load.trace)")
	}
	c.rate("load.rate", l.Rate)
	if len(l.Stages) > maxStages {
		c.add("load.stages", "are %d, more than %d (drop some)", len(l.Stages), maxStages)
	}
	var total Duration
	for i, s := range l.Stages {
		at := fmt.Sprintf("load.stages[%d]", i)
		c.rate(at+".to", s.To)
		if min(s.Over, s.Hold) < 0 {
			c.add(at, "has a negative time (use 0s or more)")
		}
		total += s.Over + s.Hold
	}
	if len(l.Stages) > 0 && total <= 0 {
		c.add("load.stages", "last no time at all (make one longer)")
	}
}

func (c *checks) rate(path string, r Rate) {
	if !(r >= 0 && r <= maxRate) {
		c.add(path, "%s is out of range (use above 0/s to %s)", r, maxRate)
	}
}

func (c *checks) keys(l Load) {
	k := l.Keys
	if l.Model == ModelEpoch {
		c.oneOf("load.keys.dist", k.Dist, KeysSequential, KeysPermutation)
	} else {
		c.oneOf("load.keys.dist", k.Dist, KeysUniform, KeysZipf, KeysHotspot, KeysSequential, KeysPermutation)
	}
	unused := func(key string, given bool, dist string) {
		if given && k.Dist != dist {
			c.add("load.keys."+key, "has no meaning with dist %s (drop it, it is for dist %s)", k.Dist, dist)
		}
	}
	unused("s", k.S != 0, KeysZipf)
	unused("hot", k.Hot != 0, KeysHotspot)
	unused("ops", k.Ops != 0, KeysHotspot)
	switch k.Dist {
	case KeysZipf:
		c.above("load.keys.s", k.S, 10)
	case KeysHotspot:
		c.percent("load.keys.hot", k.Hot, 99.999)
		c.percent("load.keys.ops", k.Ops, 99.999)
	}
}

// operations is how many different ones there are.
func (l *Load) operations() (n int) {
	for _, w := range l.Mix {
		if w > 0 {
			n++
		}
	}
	return n
}

func (c *checks) mix(mix map[string]int) {
	ops := []string{OpGetETL, OpGet, OpPut, OpHead, OpList}
	sum := 0
	for _, op := range slices.Sorted(maps.Keys(mix)) {
		path, w := "load.mix."+op, mix[op]
		if !slices.Contains(ops, op) {
			c.add(path, "unknown key %s", suggest(op, ops))
		}
		c.between(path, w, 0, maxWeight)
		sum += max(0, w)
	}
	if sum == 0 {
		c.add("load.mix", "has no weight above zero (give one to %s)", orList(ops))
	}
}

func (c *checks) phases(s *Scenario) {
	p, l := s.Phases, s.Load
	auto := p.Warmup == WarmupAuto
	switch {
	case auto:
		c.atLeast("phases.max", p.Max, 1)
	case p.Max != 0:
		c.add("phases.max", "has no meaning without warmup: auto (drop it)")
	}
	if !auto {
		c.atLeast("phases.warmup", Duration(p.Warmup), 0)
	}
	if p.Warmup != 0 && l.Trace != "" {
		c.add("phases.warmup", "has no meaning with load.trace, which says when requests begin (use 0s)")
	}
	instead := ""
	switch {
	case l.Trace != "":
		instead = "load.trace"
	case len(l.Stages) > 0:
		instead = "load.stages"
	case l.Model == ModelEpoch:
		instead = "load.epochs"
	case l.Model == ModelOffline:
		instead = "the job"
	}
	switch {
	case instead == "":
		c.atLeast("phases.measure", p.Measure, 1)
	case p.Measure != 0:
		c.add("phases.measure", "%s says how long arms are measured (drop it)", instead)
	}
}

func (c *checks) trials(t Trials) {
	c.between("trials.blocks", t.Blocks, 1, maxBlocks)
	c.oneOf("trials.order", t.Order, OrderInterleaved, OrderSequential)
	c.between("trials.redeploy-every", t.RedeployEvery, 0, maxBlocks)
	if t.StopAt == (StopAt{}) {
		return
	}
	c.oneOf("trials.stop-at.metric", t.StopAt.Metric, Metrics()...)
	c.percent("trials.stop-at.half-width", t.StopAt.HalfWidth, 100)
	if t.Order == OrderSequential {
		c.add("trials.stop-at", "needs all arms block by block (use order interleaved-random)")
	}
}

func (c *checks) faults(faults []Fault) {
	if len(faults) > maxListed {
		c.add("faults", "are %d, more than %d (drop some)", len(faults), maxListed)
	}
	for i, f := range faults {
		at := fmt.Sprintf("faults[%d]", i)
		kinds := 0
		for _, k := range []struct {
			key, component string
			given          bool
		}{{"kill", f.Kill, f.Kill != ""}, {"throttle", f.Throttle, f.Throttle != ""}, {"delay", f.On, f.Delay != 0}, {"drop", f.On, f.Drop != 0}} {
			if k.given {
				kinds++
			}
			if k.given && !slices.Contains(Components()[1:], k.component) {
				c.add(at, "%s is about %q (use %s)", k.key, k.component, orList(Components()[1:]))
			}
		}
		if kinds != 1 {
			c.add(at, "has %d of kill, throttle, delay and drop (use one)", kinds)
		}
		if min(f.At, f.For, f.Delay) < 0 {
			c.add(at, "has a negative time (use 0s or more)")
		}
		if (f.Throttle != "") != (f.CPU > 0) {
			c.add(at+".cpu", "belongs to throttle, and throttle needs it (such as 50%%)")
		}
		if f.Drop != 0 {
			c.percent(at+".drop", f.Drop, 100)
		}
		if f.Kill != "" && f.For != 0 {
			c.add(at+".for", "has no meaning with kill (drop it)")
		}
		c.between(at+".count", f.Count, 0, maxTargets)
	}
}

func (c *checks) gates(gates []Gate) {
	if len(gates) > maxListed {
		c.add("gates", "are %d, more than %d (drop some)", len(gates), maxListed)
	}
	for i, g := range gates {
		at := fmt.Sprintf("gates[%d]", i)
		if strings.TrimSpace(g.On) == "" {
			c.add(at+".on", "missing (name a number, like arm(hpush).response.p99)")
		}
		if strings.TrimSpace(g.Is) == "" {
			c.add(at+".is", `missing (say what it must be, like "< 50ms")`)
		}
		if g.AbortAfter < 0 {
			c.add(at+".abort-after", "%s is negative (use 0s or more)", g.AbortAfter)
		}
	}
}
