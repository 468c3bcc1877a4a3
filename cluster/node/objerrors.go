package node

import (
	"slices"
	"sync"

	"github.com/etlbench/etlbench/cluster/api"
)

// objErrors remembers the last objects that failed. Its zero value is empty.
type objErrors struct {
	mu   sync.Mutex
	list []api.ObjError // guarded by mu
}

// keepErrors is how many failed objects are remembered.
const keepErrors = 256

// add remembers an object, "ais://bucket/object", that failed with e.
func (o *objErrors) add(object string, e *api.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.list) == keepErrors {
		o.list = slices.Delete(o.list, 0, 1)
	}
	o.list = append(o.list, api.ObjError{Object: object, Msg: e.Message, Code: e.Status})
}

// all lists them, the oldest first.
func (o *objErrors) all() []api.ObjError {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list)
}
