package scenarios

// Operations of a load's mix.
const (
	OpGetETL = "get-etl" // GET through a transform
	OpGet    = "get"     // plain GET of a source object
	OpPut    = "put"     // PUT of an object
	OpHead   = "head"    // HEAD of a source object
	OpList   = "list"    // the first page of the source bucket's list
)

// Values of load.model.
const (
	ModelClosed  = "closed"
	ModelOpen    = "open"
	ModelEpoch   = "epoch"
	ModelOffline = "offline"
)

// Values of load.arrival.
const (
	ArrivalConstant = "constant"
	ArrivalPoisson  = "poisson"
	ArrivalTrace    = "trace"
)

// Values of load.pacer.
const (
	PacerSleep = "sleep"
	PacerSpin  = "spin"
)

// Distributions of Keys.
const (
	KeysUniform     = "uniform"
	KeysZipf        = "zipf"
	KeysHotspot     = "hotspot"
	KeysSequential  = "sequential"
	KeysPermutation = "permutation"
)

// Load says how the requests of inline arms are issued.
type Load struct {
	// Model is one of
	//
	//	closed   each worker sends its next request when the one before is
	//	         answered (the default)
	//	open     requests are due at times that the cluster has no influence
	//	         on, and times count from when they were due
	//	epoch    as closed, until each object has been asked for Epochs times
	//	offline  no requests: all arms are jobs, as with arms.mode [offline]
	Model string `yaml:"model"`
	// Arrival, of model open: "constant" (the default) spaces requests
	// evenly, "poisson" as independent clients do, "trace" by a file. The
	// number of requests is exact in any case: rate times time, cut to a whole
	// number.
	Arrival string `yaml:"arrival,omitempty"`
	// Rate, of model open: requests a second, above 0 to 1,000,000, such as
	// "2000/s". With stages it is where they begin, and may be zero, which is
	// the default.
	Rate Rate `yaml:"rate,omitempty"`
	// Stages, of model open: how the rate goes on from Rate while an arm is
	// measured. Their times together are the measured time.
	Stages []Stage `yaml:"stages,omitempty"`
	// Trace, of model open: a file with the moment of one request a line, in
	// seconds from the start ("0.25"), none before the one above it. Empty
	// lines and those that begin with # are passed over. It takes the place of
	// Rate, Stages and phases.measure.
	Trace string `yaml:"trace,omitempty"`
	// InFlight, of model open: how many requests may be due and not answered,
	// 1 to 100,000. One more is shed: never sent, counted, and infinitely late.
	// Default 512.
	InFlight int `yaml:"in-flight,omitempty"`
	// Pacer, of model open, is how the loader waits for the moment at which a
	// request is due: "sleep" (as is nothing, the default), or "spin", which looks
	// at the clock without a pause: it takes a CPU of its own, and is more exact
	// where one is idle.
	Pacer string `yaml:"pacer,omitempty"`
	// Workers is how many requests are under way at once, 1 to 100,000.
	// Default 8; of model open InFlight, and not more than that: requests that
	// find all of them busy wait.
	Workers int `yaml:"workers,omitempty"`
	// WorkersPerTarget, of models closed and epoch, makes Workers as many times
	// target.targets: the offered concurrency grows with the cluster. Default 0:
	// Workers is all there is, of any cluster.
	WorkersPerTarget int `yaml:"workers-per-target,omitempty"`
	// Timeout of one request, redirects included; above zero. Default 30s.
	Timeout Duration `yaml:"timeout"`
	// Direct sends GETs and HEADs to the target that holds the object, as the
	// cluster map tells, without a proxy's redirect. Default false.
	Direct bool `yaml:"direct,omitempty"`
	// Keys say which objects are asked for.
	Keys Keys `yaml:"keys,flow"`
	// Mix gives operations relative weights of 0 to 1,000,000, not all zero. A
	// given mix replaces the default, {get-etl: 1}.
	Mix map[string]int `yaml:"mix,flow"`
	// Think, of models closed and epoch: how long a worker pauses between two
	// requests. Default 0s.
	Think Duration `yaml:"think,omitempty"`
	// Epochs, of model epoch: passes over the data set, each in an order of
	// its own, 1 to 10,000. Default 1.
	Epochs int `yaml:"epochs,omitempty"`
}

// Keys say which objects are asked for.
type Keys struct {
	// Dist is
	//
	//	uniform      each as likely as any other (the default)
	//	zipf         the k-th most popular with a weight of k^-s
	//	hotspot      a share Hot of the objects gets a share Ops of requests
	//	sequential   in the order of their names, over and over
	//	permutation  each once, in a random order, and then in another
	//
	// Which objects are popular depends on the seed. Model epoch has only
	// sequential and permutation, which is its default.
	Dist string `yaml:"dist"`
	// S is the exponent of zipf, above 0 to 10. No default.
	S float64 `yaml:"s,omitempty"`
	// Hot and Ops, of hotspot, are above 0% and below 100%. Default 10% and
	// 90%.
	Hot Percent `yaml:"hot,omitempty"`
	Ops Percent `yaml:"ops,omitempty"`
}

// Stage is a stretch of an open loop: {to: 500/s, over: 10s} changes the rate
// evenly, or at once over 0s; {hold: 30s} keeps it.
type Stage struct {
	To   Rate
	Over Duration
	Hold Duration // 0: the stage is To, Over
}

// MarshalYAML gives the keys that belong to the stage.
func (s Stage) MarshalYAML() (any, error) {
	if s.Hold > 0 {
		return map[string]Duration{"hold": s.Hold}, nil
	}
	return struct {
		To   Rate     `yaml:"to"`
		Over Duration `yaml:"over"`
	}{s.To, s.Over}, nil
}
