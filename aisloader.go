package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/scenarios"
)

const aisloaderUsage = "make the scenario of the flags of AIStore's aisloader, which come after --"

// aisloaderArgs wants arguments after "--" with --aisloader, and otherwise what
// the verb takes.
func aisloaderArgs(on *bool, otherwise cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if !*on {
			return otherwise(cmd, args)
		}
		if cmd.ArgsLenAtDash() != 0 {
			return fmt.Errorf("--aisloader: its flags come after --, such as: %s --aisloader -- -numworkers=16 -duration=30s", cmd.CommandPath())
		}
		return nil
	}
}

func importCmd(e *env) *cobra.Command {
	var on bool
	var sets []string
	cmd := &cobra.Command{
		Use: "import --aisloader -- FLAGS", Short: "print a command line of AIStore's aisloader as a scenario",
		Long: "Prints the scenario that comes nearest to a command line of aisloader, and on standard error a line for\n" +
			"each of its flags: what it is translated as, or that it has no meaning here, and why. A flag without which\n" +
			"something else would be measured is refused, and then there is no scenario.",
		Example: "  etlbench scenarios import --aisloader -- -bucket=ais://b -duration=30s -numworkers=16 -maxsize=1M -etl=md5 -cleanup=true",
		RunE: func(_ *cobra.Command, args []string) error {
			s, _, err := aisloaderScenario(e, args, sets)
			if err != nil {
				return err
			}
			return printScenario(e, s)
		},
	}
	cmd.Args = aisloaderArgs(&on, cobra.NoArgs)
	cmd.Flags().BoolVar(&on, "aisloader", false, aisloaderUsage)
	cmd.Flags().StringArrayVar(&sets, "set", nil, "change the scenario: `KEY=VALUE`; may repeat")
	_ = cmd.MarkFlagRequired("aisloader")
	return cmd
}

// aisloaderScenario makes a scenario of aisloader's flags and says on standard
// error what became of each. proxy is the URL that they name, "" when they
// name none.
func aisloaderScenario(e *env, args, sets []string) (s *scenarios.Scenario, proxy string, err error) {
	a, err := readAisloader(args)
	if err != nil {
		return nil, "", misuse("%w", err)
	}
	a.translate(e.lookup)
	for _, w := range a.words {
		fmt.Fprintln(e.err, w)
	}
	if a.refused > 0 {
		return nil, "", misuse("%d of aisloader's flags cannot be had here: see above", a.refused)
	}
	s, err = scenarios.ParseWith("aisloader", []byte("apiVersion: "+scenarios.APIVersion+"\n"), append(a.sets, sets...))
	if err != nil {
		return nil, "", err
	}
	return s, a.proxy, checkNames(s)
}

// aisloader is a command line of aisloader, and what became of it.
type aisloader struct {
	flags *flag.FlagSet
	given map[string]bool

	bucket, provider, ip, port, etl, etlSpec string
	duration, timeout                        time.Duration
	workers, pctPut, pctUpdate               int
	epochs, maxPuts                          uint64
	total, minSize, maxSize                  aisSize
	seed                                     int64
	verify, cleanup                          bool

	words   []string // a line for each flag
	sets    []string // of the scenario, KEY=VALUE
	refused int
	proxy   string
}

// readAisloader parses the flags, as aisloader does: by Go's package flag.
func readAisloader(args []string) (*aisloader, error) {
	f := flag.NewFlagSet("aisloader", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	a := &aisloader{flags: f, given: map[string]bool{}}
	f.StringVar(&a.bucket, "bucket", "", "")
	f.StringVar(&a.provider, "provider", "ais", "")
	f.StringVar(&a.ip, "ip", "localhost", "")
	f.StringVar(&a.port, "port", "8080", "")
	f.StringVar(&a.etl, "etl", "", "")
	f.StringVar(&a.etlSpec, "etl-spec", "", "")
	f.DurationVar(&a.duration, "duration", time.Minute, "")
	f.DurationVar(&a.timeout, "timeout", 10*time.Minute, "")
	f.IntVar(&a.workers, "numworkers", 10, "")
	f.IntVar(&a.pctPut, "pctput", 0, "")
	f.IntVar(&a.pctUpdate, "pctupdate", 0, "")
	f.Uint64Var(&a.epochs, "epochs", 0, "")
	f.Uint64Var(&a.maxPuts, "maxputs", 0, "")
	f.Var(&a.total, "totalputsize", "")
	f.Var(&a.minSize, "minsize", "")
	f.Var(&a.maxSize, "maxsize", "")
	f.Int64Var(&a.seed, "seed", 0, "")
	f.BoolVar(&a.verify, "verifyhash", false, "")
	f.BoolVar(&a.cleanup, "cleanup", false, "")
	for _, o := range aisOthers() {
		if o.off == "false" || o.off == "true" {
			f.Bool(o.name, o.off == "true", "")
		} else {
			f.String(o.name, o.off, "")
		}
	}
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("aisloader's flags: %w", err)
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("aisloader's flags: %q is none (write -numworkers=16 or -numworkers 16)", f.Arg(0))
	}
	f.Visit(func(f *flag.Flag) { a.given[f.Name] = true })
	return a, nil
}

// aisSize is a size as aisloader reads it: of 1024s whatever the unit says, so
// that 1M, 1MB and 1MiB are the same.
type aisSize struct{ bytes uint64 }

var aisSizePattern = regexp.MustCompile(`^([0-9.]+)\s*(?:([KMGT])I?B?|B?)$`)

// maxAisSize keeps sums of two sizes from overflowing.
const maxAisSize = 1 << 60

func (s *aisSize) String() string { return scenarios.Bytes(s.bytes).String() }

// Set implements flag.Value.
func (s *aisSize) Set(text string) (err error) {
	m := aisSizePattern.FindStringSubmatch(strings.ToUpper(strings.TrimSpace(text)))
	if m == nil {
		return fmt.Errorf("want a number and K, M, G or T, such as 64K")
	}
	unit := ""
	if m[2] != "" {
		unit = m[2] + "iB"
	}
	s.bytes, err = humanize.ParseBytes(m[1] + unit)
	if err == nil && s.bytes > maxAisSize {
		err = fmt.Errorf("too large")
	}
	return err
}

// say adds the line of a flag.
func (a *aisloader) say(name, format string, args ...any) {
	shown := name + "=" + a.flags.Lookup(name).Value.String()
	if !a.given[name] {
		shown += " (not given)"
	}
	a.words = append(a.words, fmt.Sprintf("-%s: %s", shown, fmt.Sprintf(format, args...)))
}

// set translates a flag; why may be empty.
func (a *aisloader) set(name, why string, sets ...string) {
	a.sets = append(a.sets, sets...)
	if why != "" {
		why = ": " + why
	}
	a.say(name, "translated as %s%s", strings.Join(sets, " "), why)
}

func (a *aisloader) refuse(name, format string, args ...any) {
	a.refused++
	a.say(name, "refused: %s", fmt.Sprintf(format, args...))
}

func (a *aisloader) none(name, format string, args ...any) {
	a.say(name, "no meaning here: %s", fmt.Sprintf(format, args...))
}

func (a *aisloader) translate(lookup func(string) (string, bool)) {
	a.cluster()
	a.mix(a.transform(lookup))
	a.time()
	a.objects()
	a.checks()
	for _, o := range aisOthers() {
		switch off := a.flags.Lookup(o.name).Value.String() == o.off; {
		case !a.given[o.name]:
		case o.refuse && !off:
			a.refuse(o.name, "%s", o.why)
		case o.refuse:
			a.say(o.name, "honoured: it asks for nothing")
		default:
			a.none(o.name, "%s", o.why)
		}
	}
}

func (a *aisloader) cluster() {
	if a.given["ip"] || a.given["port"] {
		a.proxy = "http://" + a.ip + ":" + a.port
		a.sets = append(a.sets, fmt.Sprintf("target.proxies=[%q]", a.proxy))
		a.sayGiven("translated as target.proxies=["+a.proxy+"], and as --cluster of run", "ip", "port")
	}
	if a.given["provider"] && a.provider != "ais" {
		a.refuse("provider", "buckets are ais:// here")
	} else {
		a.sayGiven("honoured", "provider")
	}
	if a.given["bucket"] {
		if b, err := parseBucket(a.bucket); err != nil {
			a.refuse("bucket", "%v", err)
		} else {
			a.set("bucket", "it is filled with the objects of dataset, unless it has them", "target.bucket="+b.String())
		}
	}
	a.sayGiven("translated: a bucket that the run makes is removed, one that was there before stays", "cleanup")
}

// sayGiven says the same of those of the flags that were given.
func (a *aisloader) sayGiven(what string, names ...string) {
	for _, name := range names {
		if a.given[name] {
			a.say(name, "%s", what)
		}
	}
}

// transform is about the ETL, and gives the operation of reads.
func (a *aisloader) transform(lookup func(string) (string, bool)) (get string) {
	name, comm, flag := a.etl, "hpush", "etl"
	var err error
	switch {
	case a.etl != "" && a.etlSpec != "":
		a.refuse("etl", "-etl-spec names an ETL, too")
		return scenarios.OpGetETL
	case a.etl != "":
		_, _, err = sampleETL(a.etl, "")
	case a.etlSpec != "":
		flag = "etl-spec"
		name, comm, err = sampleOfSpec(a.etlSpec, lookup)
	default:
		return scenarios.OpGet
	}
	if err != nil {
		a.refuse(flag, "%v", err)
	} else {
		a.set(flag, "name more types to compare them", "transforms=["+name+"]", "arms.comm=["+comm+"]")
	}
	return scenarios.OpGetETL
}

// aisImagePrefix is that of the images of AIStore's own transformers, some of
// which are among the samples.
const aisImagePrefix = "aistorage/transformer_"

// sampleOfSpec finds the sample transform that a Pod's image is. Scenarios are
// about samples alone, whose output can be told beforehand.
func sampleOfSpec(file string, lookup func(string) (string, bool)) (name, comm string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	if text, err = pod.Expand(text, lookup); err != nil {
		return "", "", fmt.Errorf("%s: %w", file, err)
	}
	p, err := pod.ParseYAML(text, func(comm string) bool { return commType(comm) == "io://" })
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", file, err)
	}
	image, _, _ := strings.Cut(p.Image, ":")
	name, own := strings.CutPrefix(image, imagePrefix)
	name, ais := strings.CutPrefix(name, aisImagePrefix)
	name = strings.Join(append([]string{name}, p.Args...), "-") // "sleep" and "5ms"
	if _, _, err := sampleETL(name, ""); !own && !ais || len(p.Command) > 0 || err != nil {
		return "", "", fmt.Errorf("%s: image %s is not a sample transform as it is, and scenarios are about those", file, p.Image)
	}
	if comm = strings.TrimSuffix(p.Comm, "://"); comm == "" {
		comm = "hpush"
	}
	return name, comm, nil
}

// mix is about which operations there are.
func (a *aisloader) mix(get string) {
	for _, pct := range []struct {
		name  string
		value int
	}{{"pctput", a.pctPut}, {"pctupdate", a.pctUpdate}} {
		if pct.value < 0 || pct.value > 100 {
			a.refuse(pct.name, "want 0 to 100")
			return
		}
	}
	// An update is a PUT beside its GET.
	gets, puts := (100-a.pctPut)*100, a.pctPut*100+(100-a.pctPut)*a.pctUpdate
	var mix []string
	if gets > 0 {
		mix = append(mix, fmt.Sprintf("%s: %d", get, gets))
	}
	if puts > 0 {
		mix = append(mix, fmt.Sprintf("put: %d", puts))
	}
	set := "load.mix={" + strings.Join(mix, ", ") + "}"
	a.set("pctput", "", set)
	a.sayGiven("translated as "+set+": PUTs go into a bucket of their own, and none follows its GET", "pctupdate")
	if puts == 0 && a.epochs == 0 {
		a.sets = append(a.sets, "load.keys.dist=permutation") // aisloader reads each before any twice
	}
}

// time is about when a run ends, and how many workers load it.
func (a *aisloader) time() {
	a.set("numworkers", "", fmt.Sprintf("load.workers=%d", a.workers))
	if a.given["timeout"] {
		a.set("timeout", "", "load.timeout="+a.timeout.String())
	}
	a.sets = append(a.sets, "phases.warmup=0s") // aisloader has none
	switch bounded := a.puts(); {
	case bounded && a.epochs > 0:
		a.refuse("epochs", "a run that only puts ends by -totalputsize or -maxputs")
	case bounded:
		a.sets = append(a.sets, "load.model=epoch", "load.epochs=1")
	case a.epochs > 0:
		a.set("epochs", "", "load.model=epoch", fmt.Sprintf("load.epochs=%d", a.epochs))
	case a.duration <= 0:
		a.refuse("duration", "a run has to end: say when")
		return
	default:
		a.set("duration", "without a warm-up, as aisloader has none", "phases.measure="+a.duration.String())
		return
	}
	if a.given["duration"] {
		a.none("duration", "the run ends when all is done")
	}
}

// puts is about -totalputsize and -maxputs, and tells whether they end the run.
func (a *aisloader) puts() bool {
	var bounds []string
	if a.total.bytes > 0 {
		bounds = append(bounds, "totalputsize")
	}
	if a.maxPuts > 0 {
		bounds = append(bounds, "maxputs")
	}
	if a.pctPut == 100 && bounds != nil {
		n := a.putObjects()
		a.sets = append(a.sets, fmt.Sprintf("dataset.objects=%d", n))
		a.sayGiven(fmt.Sprintf("translated as dataset.objects=%d load.model=epoch: each is put once", n), bounds...)
		return true
	}
	for _, name := range bounds {
		switch {
		case a.pctPut+a.pctUpdate == 0:
			a.none(name, "nothing is put")
		case a.given["duration"] || a.epochs > 0:
			a.none(name, "a mix ends by -duration or -epochs")
		default:
			a.refuse(name, "a mix ends by time: give -duration, or -pctput=100")
		}
	}
	return false
}

// putObjects is after how many PUTs aisloader would have put enough, objects
// being of their mean size.
func (a *aisloader) putObjects() uint64 {
	low, high := a.sizes()
	mean := max(1, (low+high)/2)
	byBytes := (a.total.bytes + mean - 1) / mean
	if a.maxPuts == 0 || byBytes > 0 && byBytes < a.maxPuts {
		return byBytes
	}
	return a.maxPuts
}

// sizes are aisloader's defaults where nothing is given.
func (a *aisloader) sizes() (low, high uint64) {
	low, high = 1<<20, 1<<30
	switch {
	case a.given["minsize"] && a.given["maxsize"]:
		return a.minSize.bytes, a.maxSize.bytes
	case a.given["minsize"]:
		return a.minSize.bytes, max(high, a.minSize.bytes)
	case a.given["maxsize"]:
		return min(low, a.maxSize.bytes), a.maxSize.bytes
	}
	return low, high
}

// objects is about what is read and put.
func (a *aisloader) objects() {
	low, high := a.sizes()
	size := fmt.Sprintf("dataset.size={dist: uniform, min: %s, max: %s}", scenarios.Bytes(low), scenarios.Bytes(high))
	if low == high {
		size = "dataset.size=" + scenarios.Bytes(low).String()
	}
	switch {
	case low > high:
		a.refuse("minsize", "it is above -maxsize")
	case a.given["minsize"] || a.given["maxsize"]:
		a.sets = append(a.sets, size)
		a.sayGiven("translated as "+size, "minsize", "maxsize")
	case a.pctPut+a.pctUpdate > 0:
		a.refuse("maxsize", "aisloader would put objects of 1MiB to 1GiB: say -minsize and -maxsize")
	default:
		a.words = append(a.words, "objects: aisloader reads what a bucket has; here it is filled with those of dataset: --set dataset.objects=N, -minsize, -maxsize")
	}
	switch {
	case a.seed < 0:
		a.refuse("seed", "want 1 or more")
	case a.seed > 0:
		a.set("seed", "", fmt.Sprintf("seed=%d", a.seed))
	case a.given["seed"]:
		a.set("seed", "not the time, so that the run can be repeated", "seed=1")
	}
}

// checks is about what is compared.
func (a *aisloader) checks() {
	if a.verify {
		a.set("verifyhash", "whole outputs are compared", "verify.content=all")
		return
	}
	a.set("verifyhash", "sizes are compared", "verify.content=size")
}
