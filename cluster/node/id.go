package node

import "crypto/rand"

// randomID is n characters of [a-z0-9], beginning with a letter: for ids that
// clients check and secrets that must not be guessed. Of 36 possible values
// each takes 5.1 bits.
func randomID(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, 0, n)
	var one [1]byte
	for len(b) < n {
		_, _ = rand.Read(one[:]) // never fails
		limit := byte(len(alphabet))
		if len(b) == 0 {
			limit = 26
		}
		// Values that would wrap around unevenly are drawn again.
		if one[0] < 252/limit*limit {
			b = append(b, alphabet[one[0]%limit])
		}
	}
	return string(b)
}
