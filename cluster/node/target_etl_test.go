package node

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// TestRunThatEndedBeforeItStarted: a start may come late, when its ETL has been
// stopped and another run of it is about to start.
func TestRunThatEndedBeforeItStarted(t *testing.T) {
	tg := fuzzTarget(t)
	version := tg.state().Version
	current := func(xact string) {
		s := fuzzState(t)
		version++
		s.Version = version
		s.ETLs["etl-md5"] = meta.ETL{Spec: api.ETLSpec{Name: "etl-md5"}, XactID: xact, Stage: api.StageInitializing}
		require.NoError(t, tg.replaceState(s))
	}
	run := func(xact string) *runningETL {
		ctx, cancel := context.WithCancelCause(t.Context())
		return &runningETL{name: "etl-md5", xact: xact, ctx: ctx, cancel: cancel, onGone: func() {}, ready: make(chan struct{}), gone: make(chan struct{})}
	}
	zero, one, two, three := run("zero"), run("one"), run("two"), run("three")

	// One waits for zero, which is on its way out, while two becomes current.
	current("one")
	require.True(t, tg.etls.add(zero))
	require.NotNil(t, tg.etls.take("etl-md5", "zero"))
	late := make(chan error, 1)
	go func() { late <- tg.admit(one) }()
	current("two")
	close(zero.ready)
	zero.stop()
	require.ErrorContains(t, <-late, "was stopped before it started")
	require.NoError(t, tg.admit(two))
	require.ErrorContains(t, tg.admit(run("two")), "runs already")
	require.ErrorContains(t, tg.admit(run("one")), "was stopped before it started", "and does not end the one that runs")

	// Three finds two in the table, which nobody has taken out.
	s := *tg.state()
	s.ETLs = map[string]meta.ETL{"etl-md5": {XactID: "three"}}
	s.Version++
	tg.meta.Replace(&s) // without what replaceState does
	close(two.ready)
	require.NoError(t, tg.admit(three))
	<-two.gone
	require.Same(t, three, tg.etls.get("etl-md5"))
}
