package conformance

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// names translates what a cluster names for itself between a recording and us:
// addresses, ids of jobs, of ETLs' runs and of listings, checksums of contents
// that the recordings have in part. One of theirs is one of ours, throughout a
// session, so that they are compared after all.
type names struct {
	t      *testing.T
	ours   map[string]string // by the recorded one
	theirs map[string]string // by ours
}

// newNames knows the nodes' addresses.
func newNames(t *testing.T, c recordedCluster, urls, digests map[string]string) *names {
	n := &names{t: t, ours: map[string]string{}, theirs: map[string]string{}}
	for name, port := range map[string]string{"proxy": "8080", "target1": "8081", "target2": "8082"} {
		addr := strings.TrimPrefix(urls[name], "http://")
		n.add(c.host+":"+port, addr)
		n.add(`"daemon_port":"`+port+`"`, `"daemon_port":"`+addr[strings.LastIndexByte(addr, ':')+1:]+`"`)
		n.add(`"node_ip_addr":"`+c.host+`"`, `"node_ip_addr":"127.0.0.1"`)
	}
	for theirs, ours := range digests {
		n.add(theirs, ours)
	}
	return n
}

func (n *names) add(theirs, ours string) { n.ours[theirs], n.theirs[ours] = ours, theirs }

// wellFormed is what ids of jobs look like.
var wellFormed = regexp.MustCompile(`^(etl-|tco-)?[A-Za-z0-9][A-Za-z0-9_-]{7,8}[A-Za-z0-9]$`)

// bind takes note of an id that was not seen before, and tells whether ours can
// stand for theirs.
func (n *names) bind(theirs, ours string) bool {
	if n.ours[theirs] == ours {
		return true
	}
	a, b := wellFormed.FindStringSubmatch(theirs), wellFormed.FindStringSubmatch(ours)
	if a == nil || b == nil || a[1] != b[1] || n.ours[theirs] != "" || n.theirs[ours] != "" {
		return false
	}
	n.add(theirs, ours)
	return true
}

// recorded says something of ours in the recording's names.
func (n *names) recorded(s string) string { return translate(s, n.theirs) }

// recordedTree is recorded for all texts of a tree.
func (n *names) recordedTree(v any) any {
	switch v := v.(type) {
	case string:
		return n.recorded(v)
	case []any:
		for i := range v {
			v[i] = n.recordedTree(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = n.recordedTree(v[k])
		}
	}
	return v
}

// own says something recorded in our names.
func (n *names) own(s string) string { return translate(s, n.ours) }

func translate(s string, dict map[string]string) string {
	var pairs []string
	for from, to := range dict {
		if strings.Contains(s, from) {
			pairs = append(pairs, from, to)
		}
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// awaitJob waits for a job of the recording to have ended here.
func (r *rig) awaitJob(theirs string) {
	ours := r.names.ours[theirs]
	require.NotEmpty(r, ours, "job %s has not begun", theirs)
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	// A job that failed is one that has ended.
	if err := r.client.WaitJob(ctx, ours); err != nil {
		require.NoError(r, ctx.Err(), "job %s does not end: %v", theirs, err)
	}
}
