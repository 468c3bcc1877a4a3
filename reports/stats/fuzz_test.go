package stats_test

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/etlbench/etlbench/reports/stats"
)

// FuzzAnyValues gives all functions whatever values there may be: none may
// panic, and none may give NaN. Infinity comes only from infinite bars.
func FuzzAnyValues(f *testing.F) {
	for _, xs := range [][]float64{
		{}, {0}, {1}, {-1}, {1, 2, 3}, {math.MaxFloat64, math.SmallestNonzeroFloat64}, {math.NaN(), math.Inf(1), math.Inf(-1)},
		series(60, func(int) float64 { return 0 }), series(60, func(int) float64 { return 5 }), series(60, func(int) float64 { return -5 }),
		series(60, func(i int) float64 { return float64(i + 1) }), series(61, func(i int) float64 { return float64(i % 2) }),
		series(60, func(i int) float64 { return math.Pow(10, float64(i*3-90)) }), series(60, func(i int) float64 { return math.Pow(-1e99, float64(i%2)) }),
		series(60, func(i int) float64 { return 1e-100 * float64(1+i%3) }), series(12, func(i int) float64 { return 1e100 - float64(i)*1e84 }),
		{1e100, 1e-100, 1e100, 1e-100, 1e100, 1e-100, 1, 1, 1, 1, 1, 1}, {5e-324, 5e-324, 5e-324, 5e-324, 5e-324, 5e-324, 0, 0, 0, 0, 0, 0},
		series(33, func(i int) float64 { return map[bool]float64{true: 5.000000000000024, false: 5}[i == 17] }), // σ is 1, or nearly: the peak is 1, or nowhere
	} {
		var data []byte
		for _, x := range xs {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
		}
		f.Add(data, uint16(len(xs)))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		var xs []float64
		for ; len(data) >= 8 && len(xs) < 80; data = data[8:] {
			xs = append(xs, math.Float64frombits(binary.LittleEndian.Uint64(data)))
		}
		at := min(int(cut), len(xs))
		for name, result := range everything(xs[:at], xs[at:]) {
			if !numbers(reflect.ValueOf(result)) {
				t.Fatalf("%s of %v and %v: %+v", name, xs[:at], xs[at:], result)
			}
		}
	})
}

// everything calls all functions; results that came with an error are left out.
func everything(a, b []float64) map[string]any {
	o := stats.Options{Resamples: 100}
	out := map[string]any{}
	put := func(name string, result any, err error) {
		if err == nil {
			out[name] = result
		}
	}
	warmup, err := stats.Warmup(a)
	put("warm-up", warmup, err)
	steady, err := stats.Steady(a)
	put("steady", steady, err)
	center, err := stats.Center(a, o)
	put("center", center, err)
	spread, err := stats.SpreadOf(a)
	put("spread", spread, err)
	if ratio, ok := spread.MaxToMin(); ok {
		out["max/min"] = ratio
	}
	precise, err := stats.Precise(a, 0.1, 2, o)
	put("precise", precise, err)
	compared, err := stats.Compare([]stats.Contrast{{Base: a, Other: b}, {Base: a, Other: b, Unpaired: true, HigherIsBetter: true}, {Base: b, Other: b}}, stats.CompareOptions{Options: o})
	put("compare", compared, err)
	var finite [][]stats.Bar
	for i := 0; i+4 <= len(a); i += 4 {
		if bars := barsOf(a[i : i+4]); math.Abs(a[i]+a[i+1]+a[i+2]+a[i+3]) <= math.MaxFloat64 {
			finite = append(finite, bars)
		}
	}
	quantile, err := stats.QuantileOverTime(finite, 0.5, o)
	put("quantile", quantile, err)
	fit(a, b, o, put)
	if len(a) > 1 {
		little, err := stats.Little(a[0], a[1], time.Duration(len(b)))
		put("little", little, err)
		if s, err := stats.NewSearch(stats.SearchConfig{Low: a[0], High: a[1], Width: 0.5}); err == nil {
			for i, x := range b {
				_ = s.Observe(x, i%3 == 0) // a bad rate changes nothing
			}
			rate, _ := s.Next()
			found, err := s.Found()
			put("search", found, err)
			put("next", rate, nil)
		}
	}
	return out
}

// fit calls what takes values at points: three blocks at each.
func fit(a, b []float64, o stats.Options, put func(string, any, error)) {
	var loads []stats.Load
	var first, second []stats.SizeClass
	for i := 0; i+3 <= len(a); i += 3 {
		n := float64(1 + i/3*i/3)
		loads = append(loads, stats.Load{N: n, Rates: a[i : i+3]})
		first = append(first, stats.SizeClass{MiB: n, Costs: append(append([]float64{}, a[i:i+3]...), a[i:i+3]...)})
		if i+3 <= len(b) {
			second = append(second, stats.SizeClass{MiB: n, Costs: append(append([]float64{}, b[i:i+3]...), b[i:i+3]...)})
		}
	}
	u, err := stats.FitUSL(loads, o)
	put("usl", u, err)
	x, err := u.At(2)
	put("usl at 2", x, err)
	e, err := stats.Efficiency(loads, o)
	put("efficiency", e, err)
	l, err := stats.FitLine(first, o)
	put("line", l, err)
	put("line at 2", l.At(2), nil)
	c, err := stats.Cross(first, second, o)
	put("cross", c, err)
}

// numbers tells whether all floats of exported fields are finite.
func numbers(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float64:
		return !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !numbers(v.Field(i)) {
				return false
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if !numbers(v.Index(i)) {
				return false
			}
		}
	}
	return true
}
