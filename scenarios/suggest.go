package scenarios

// Suggest ends a message about a wrong word: with the nearest of the valid ones
// when one is near, else with all of them.
func Suggest(got string, valid []string) string { return suggest(got, valid) }
