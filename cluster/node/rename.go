package node

import (
	"encoding/json"
	"strings"
)

// rename maps a source object's name to that of its result.
type rename struct {
	Ext     map[string]string `json:"ext"`     // by extension, without dots
	AllExt  string            `json:"all_ext"` // for every object that has an extension
	Prepend string            `json:"prepend"`
	Suffix  string            `json:"suffix"`
}

// apply maps one name: the extension is the text behind the last '.' of its
// last part, the prefix goes in front of the whole name, the suffix behind all.
// A dot in a folder's name is none: all objects below it would become one.
func (r *rename) apply(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > strings.LastIndexByte(name, '/') {
		ext, ok := r.Ext[name[i+1:]]
		if r.AllExt != "" {
			ext, ok = r.AllExt, true
		}
		if ok {
			name = name[:i+1] + strings.TrimLeft(ext, ".")
		}
	}
	return r.Prepend + name + r.Suffix
}

// changes tells whether any name may become another.
func (r *rename) changes() bool {
	return len(r.Ext) > 0 || r.AllExt != "" || r.Prepend != "" || r.Suffix != ""
}

// setExt reads "ext", a map or (old) one text for all, and tells the latter.
func (r *rename) setExt(raw json.RawMessage) (text bool, err error) {
	if len(raw) == 0 {
		return false, nil
	}
	if raw[0] == '"' {
		return true, json.Unmarshal(raw, &r.AllExt)
	}
	return false, json.Unmarshal(raw, &r.Ext)
}
