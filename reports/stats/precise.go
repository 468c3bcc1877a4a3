package stats

// Precise tells whether a metric is known well enough to stop: with one value
// for each block so far, in order, whether the interval of Center had a half
// width of at most a share within of its estimate after each of the last looks
// blocks. One look would stop at the first lucky one. It looks at precision
// only, never at a difference between arms, so stopping by it makes no false
// positives. Too few blocks are not precise.
func Precise(blocks []float64, within float64, looks int, o Options) (bool, error) {
	for k := range max(looks, 1) {
		if len(blocks)-k < MinBlocks {
			return false, nil
		}
		c, err := Center(blocks[:len(blocks)-k], o)
		if err != nil {
			return false, err
		}
		if half, middle := (c.High-c.Low)/2, c.Estimate; half > within*max(middle, -middle) {
			return false, nil
		}
	}
	return true, nil
}
