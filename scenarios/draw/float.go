package draw

import "math"

// odd are 1/1, 1/3, 1/5 …
var odd = [...]float64{1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23}

// Log is the natural logarithm of a finite x above 0, to about 15 digits:
//
//	x = f·2^e with f in [√½, √2)
//	ln x = e·ln 2 + 2·(s + s³/3 + s⁵/5 + …) with s = (f-1)/(f+1)
func Log(x float64) float64 {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		e--
	}
	s := (f - 1) / (f + 1)
	z := float64(s * s)
	sum := 0.0
	for k := len(odd) - 1; k >= 0; k-- {
		sum = float64(sum*z) + odd[k]
	}
	return float64(float64(2*s)*sum) + float64(float64(e)*math.Ln2)
}

// Exp is e^x for x of -700 to 700, to about 14 digits:
//
//	x = k·ln 2 + r with |r| ≤ ½·ln 2;  e^x = 2^k·(1 + r + r²/2 + …)
func Exp(x float64) float64 {
	k := math.Floor(x/math.Ln2 + 0.5)
	r := x - float64(k*math.Ln2)
	sum := 1.0
	for i := 14; i > 0; i-- {
		sum = 1 + float64(sum*r)/float64(i)
	}
	return math.Ldexp(sum, int(k))
}

// Normal is the standard normal number that a share p of all lies below:
// Acklam's rational approximation, relative error below 1.2e-9. p is between 0
// and 1.
func Normal(p float64) float64 {
	const low = 0.02425
	switch {
	case p < low:
		return tail(math.Sqrt(-2 * Log(p)))
	case p > 1-low:
		return -tail(math.Sqrt(-2 * Log(1-p)))
	}
	q := p - 0.5
	r := float64(q * q)
	return float64(q*polynomial(r, -3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02,
		1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00)) /
		polynomial(r, -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
			6.680131188771972e+01, -1.328068155288572e+01, 1)
}

func tail(q float64) float64 {
	return polynomial(q, -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
		-2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00) /
		polynomial(q, 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1)
}

// polynomial has the coefficient of the highest power first.
func polynomial(x float64, coefficients ...float64) float64 {
	sum := 0.0
	for _, c := range coefficients {
		sum = float64(sum*x) + c
	}
	return sum
}

// Zipf draws ranks 1 … n, of which rank k has a weight of k^-s, by
// rejection-inversion (Hörmann and Derflinger 1996): no table, and 1.1 tries
// on the average.
type Zipf struct {
	n, s        float64
	first, last float64 // of the integral of the weight
	shortcut    float64
}

// NewZipf is the distribution over n ranks, n above 0, with exponent s above
// 0, which may be below and above 1.
func NewZipf(n uint64, s float64) Zipf {
	z := Zipf{n: float64(n), s: s}
	z.first, z.last = z.integral(1.5)-1, z.integral(z.n+0.5)
	z.shortcut = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// At is the rank, from 0, that belongs to word, which becomes the key of as
// many numbers as it takes.
func (z Zipf) At(word uint64) uint64 {
	for i := uint64(0); ; i++ {
		u := z.last + float64(Unit(Word(word, i))*(z.first-z.last))
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.shortcut || u >= z.integral(k+0.5)-z.weight(k) {
			return uint64(k) - 1
		}
	}
}

func (z Zipf) weight(x float64) float64 { return Exp(-z.s * Log(x)) }

// integral is that of weight from 1 to x: (x^(1-s) - 1) / (1-s), or ln x.
func (z Zipf) integral(x float64) float64 {
	l := Log(x)
	t := (1 - z.s) * l
	if math.Abs(t) < 1e-6 {
		return l * (1 + t/2)
	}
	return l * ((Exp(t) - 1) / t)
}

func (z Zipf) inverse(u float64) float64 {
	t := max(u*(1-z.s), -1+1e-15)
	if math.Abs(t) < 1e-6 {
		return Exp(u * (1 - t/2))
	}
	return Exp(u * (Log(1+t) / t))
}
