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
	c.dataset(s.Dataset)
	c.arms(s)
	c.load(s.Load)
	c.atLeast("phases.warmup", s.Phases.Warmup, 0)
	c.atLeast("phases.measure", s.Phases.Measure, 1)
	c.oneOf("verify.content", s.Verify.Content, VerifyAll, VerifyOff)
	c.words("outputs", s.Outputs, "text", "json", "md", "csv", "html")
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
}

func (c *checks) dataset(d Dataset) {
	switch d.Kind {
	case KindGenerated:
		c.between("dataset.objects", d.Objects, 1, maxObjects)
		c.size(d.Size)
		if !(d.Compressible >= 0 && d.Compressible <= 1) { // NaN too
			c.add("dataset.compressible", "%v is out of range (use 0 to 1)", d.Compressible)
		}
	case KindPictures:
		c.between("dataset.objects", d.Objects, 1, maxShards)
	case KindFolder:
		if d.Dir == "" {
			c.add("dataset.dir", "missing (kind folder needs it)")
		}
		if strings.ContainsFunc(d.Dir, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			c.add("dataset.dir", "%q has control characters or is not UTF-8", d.Dir)
		}
		c.only("dataset.objects", d.Objects != 0, d.Kind, "generated and pictures")
	default:
		c.oneOf("dataset.kind", d.Kind, KindGenerated, KindPictures, KindFolder)
		return
	}
	c.only("dataset.dir", d.Kind != KindFolder && d.Dir != "", d.Kind, KindFolder)
	c.only("dataset.size", d.Kind != KindGenerated && d.Size != Size{}, d.Kind, KindGenerated)
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
	c.objectSize(path+".value", s.Value)
	c.objectSize(path+".min", s.Min)
	c.objectSize(path+".max", s.Max)
	switch {
	case s.Dist == DistConst && (s.Min != 0 || s.Max != 0):
		c.add(path, "dist const has no min or max (use value, or dist: uniform)")
	case s.Dist == DistUniform && s.Value != 0:
		c.add(path+".value", "dist uniform has no value (use min and max)")
	case s.Dist == DistUniform && s.Min > s.Max:
		c.add(path+".min", "%s is above max, %s (swap them)", s.Min, s.Max)
	}
	c.oneOf(path+".dist", s.Dist, DistConst, DistUniform)
}

func (c *checks) objectSize(path string, v Bytes) {
	if v < 0 || v > maxObjectSize {
		c.add(path, "%s is out of range (use 0B to %s)", v, maxObjectSize)
	}
}

func (c *checks) arms(s *Scenario) {
	offline := slices.Contains(s.Arms.Mode, ModeOffline)
	if len(s.Transforms) == 0 && (offline || s.Load.Mix[OpGetETL] > 0) {
		c.add("transforms", "missing (name at least one, like [md5])")
	}
	if len(s.Transforms) > 0 {
		c.unique("transforms", s.Transforms, func(at, word string) {
			c.matches(at, word, `^[a-z0-9-]{1,32}(/python)?$`,
				"lower-case letters, digits and '-', like md5, or md5/python for the Python function")
		})
	}
	c.unique("arms.comm", s.Arms.Comm, func(at, word string) {
		c.matches(at, word, `^[a-z0-9]{1,32}$`, "lower-case letters and digits, like hpush")
	})
	c.words("arms.mode", s.Arms.Mode, ModeInline, ModeOffline)
}

func (c *checks) load(l Load) {
	c.oneOf("load.model", l.Model, "closed")
	c.between("load.workers", l.Workers, 1, maxWorkers)
	c.atLeast("load.timeout", l.Timeout, 1)
	ops := []string{OpGetETL, OpGet, OpPut}
	sum := 0
	for _, op := range slices.Sorted(maps.Keys(l.Mix)) {
		path, w := "load.mix."+op, l.Mix[op]
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
