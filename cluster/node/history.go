package node

import (
	"slices"
	"sync"
)

// history keeps the latest keepJobs values by id; the oldest are forgotten
// first. Its zero value is empty.
type history[T any] struct {
	mu    sync.Mutex
	byID  map[string]T // guarded by mu
	order []string     // ids as they were added; guarded by mu
}

// keepJobs is how many jobs a node remembers.
const keepJobs = 1024

func (h *history[T]) add(id string, v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byID == nil {
		h.byID = map[string]T{}
	}
	h.byID[id] = v
	h.order = append(h.order, id)
	if len(h.order) > keepJobs {
		delete(h.byID, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
}

// get finds a value; the zero value stands for none.
func (h *history[T]) get(id string) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byID[id]
}

// all lists the values in the order they were added.
func (h *history[T]) all() []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]T, 0, len(h.order))
	for _, id := range h.order {
		list = append(list, h.byID[id])
	}
	return list
}
