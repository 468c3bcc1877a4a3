// Package conformance replays what AIStore's real clients and a real cluster
// said to each other against a cluster of this module, and compares.
//
// testdata holds the recordings as they are, one a line. sessions_test.go says
// in which order and in what state they are replayed, normal_test.go what is
// not compared because it differs from run to run, and deviations_test.go where
// we answer otherwise, each with the line that asks for it of the wire's
// contract: README.md (its decisions), etl-api.md, cluster-api.md and
// transformer-protocol.md. The package has no code of its own. Run it with
// "make conformance".
package conformance
