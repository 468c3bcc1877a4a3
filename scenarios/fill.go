package scenarios

// fill puts in the defaults that depend on what else is said; given tells
// whether a key is there.
func (s *Scenario) fill(given func(path string) bool) {
	s.fillDataset(given)
	s.fillLoad(given)
	p := &s.Phases
	timed := len(s.Load.Stages) > 0 || s.Load.Trace != ""
	if !given("phases.warmup") && s.Load.Model != ModelOffline && !timed {
		p.Warmup = Warmup(1e9)
	}
	if p.Warmup == WarmupAuto && !given("phases.max") {
		p.Max = Duration(20e9)
	}
	if !given("phases.measure") && s.Load.Model != ModelOffline && s.Load.Model != ModelEpoch && !timed {
		p.Measure = Duration(10e9)
	}
	if s.Load.Model == ModelOffline && !given("arms.mode") {
		s.Arms.Mode = []string{ModeOffline}
	}
}

func (s *Scenario) fillDataset(given func(path string) bool) {
	d := &s.Dataset
	if d.Kind != KindFolder && !given("dataset.objects") {
		d.Objects = 64
	}
	if d.Kind == KindGenerated && !given("dataset.size") && len(s.Arms.Size) == 0 {
		d.Size = Size{Dist: DistConst, Value: 64 << 10}
	}
}

func (s *Scenario) fillLoad(given func(path string) bool) {
	l := &s.Load
	set := func(to *int, path string, value int) {
		if !given(path) {
			*to = value
		}
	}
	switch l.Model {
	case ModelOpen:
		set(&l.InFlight, "load.in-flight", 512)
		set(&l.Workers, "load.workers", l.InFlight)
		if !given("load.arrival") {
			l.Arrival = ArrivalConstant
			if l.Trace != "" {
				l.Arrival = ArrivalTrace
			}
		}
	case ModelEpoch:
		set(&l.Epochs, "load.epochs", 1)
		if !given("load.keys.dist") {
			l.Keys.Dist = KeysPermutation
		}
		fallthrough
	default:
		workers := 8
		if n := l.WorkersPerTarget; n > 0 && n <= maxWorkers {
			workers = n * s.Target.Targets
		}
		set(&l.Workers, "load.workers", workers)
	}
	if l.Keys.Dist == KeysHotspot {
		if !given("load.keys.hot") {
			l.Keys.Hot = 10
		}
		if !given("load.keys.ops") {
			l.Keys.Ops = 90
		}
	}
}
