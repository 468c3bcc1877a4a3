// Package api is the wire of an AIStore cluster as its clients see it: words,
// types, object placement, and a Client for the control plane.
//
// It knows no behaviour of a node: see cluster/node for that. Read wire.go for
// the words, map.go for the cluster map and who owns an object, client.go for
// what can be asked.
package api
