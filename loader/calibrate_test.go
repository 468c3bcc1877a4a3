package loader

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func calibrated(t *testing.T, load string) *scenarios.Scenario {
	s, err := scenarios.Parse("x.yaml", []byte("apiVersion: etlbench/v1\ntransforms: [echo]\n"+load))
	require.NoError(t, err)
	return s
}

func TestCalibrate(t *testing.T) {
	tests := []struct {
		name, load string
	}{
		{"closed", "load: {workers: 4}\n"},
		{"open", "load: {model: open, rate: 200/s}\nphases: {measure: 10s}\n"},
		{"stages", "load: {model: open, stages: [{to: 100/s, over: 2s}, {hold: 2s}]}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Calibrate(t.Context(), calibrated(t, tt.load), 4<<10, 200*time.Millisecond)
			require.NoError(t, err)
			require.Positive(t, c.OpsPerS)
			require.Positive(t, c.P50Ms)
			require.GreaterOrEqual(t, c.P99Ms, c.P50Ms)
		})
	}
}

// TestCalibrateKnowsSize: what the generator can do depends on the bodies that
// it reads.
func TestCalibrateKnowsSize(t *testing.T) {
	s := calibrated(t, "load: {workers: 2}\n")
	small, err := Calibrate(t.Context(), s, 0, 300*time.Millisecond)
	require.NoError(t, err)
	large, err := Calibrate(t.Context(), s, 64<<20, 300*time.Millisecond)
	require.NoError(t, err)
	require.Greater(t, small.OpsPerS, 2*large.OpsPerS)
}

func TestCalibrateNothing(t *testing.T) {
	c, err := Calibrate(t.Context(), calibrated(t, "load: {model: offline}\n"), 0, time.Hour)
	require.NoError(t, err)
	require.Nil(t, c)
}

func TestCalibrateIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Calibrate(ctx, calibrated(t, "load: {workers: 2}\n"), 0, time.Hour)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
