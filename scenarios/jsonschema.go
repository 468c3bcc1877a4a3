package scenarios

import _ "embed"

// JSONSchema is the JSON Schema of a scenario file, for editors. It is made
// from the types and their comments by go test -update. It knows keys and the
// forms of values; rules between them are Parse's.
//
//go:embed scenario.schema.json
var JSONSchema []byte
