package pod

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArgvFollowsKubernetes(t *testing.T) {
	img := Image{Entrypoint: []string{"/entry", "-e"}}
	env := map[string]string{"PORT": "8123", "A": "$(PORT)"}
	tests := []struct {
		name string
		spec Spec
		want []string
	}{
		{"entrypoint", Spec{}, []string{"/entry", "-e"}},
		{"args follow the entrypoint", Spec{Args: []string{"x"}}, []string{"/entry", "-e", "x"}},
		{"command replaces it", Spec{Command: []string{"c"}, Args: []string{"x y"}}, []string{"c", "x y"}},
		{"variables", Spec{Args: []string{"--port=$(PORT)", "$(NOPE)", "$$(PORT)", "$PORT", "$(A)", "$(", "$"}},
			[]string{"/entry", "-e", "--port=8123", "$(NOPE)", "$(PORT)", "$PORT", "$(PORT)", "$(", "$"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, tt.spec.argv(img, env)) })
	}
}
