package api_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

func TestParseETLSpecNamesEveryWrongField(t *testing.T) {
	tests := []struct {
		name, body string
		want       string // of the error
	}{
		{"numbers for texts", `{"id":7,"communication":"hpush","init_timeout":45}`, `id: is a number, must be a string; init_timeout: 45 is not a duration: write it as "45s"`},
		{"in a list", `{"name":"etl-a1","env":[{"name":"A"},{"name":1,"Value":true}]}`, `env[1].Value: is true or false, must be a string; env[1].name: is a number, must be a string`},
		{"a text for a list", `{"env":"A=1"}`, `env: is a string, must be a list`},
		{"an object for a list", `{"env":{"A":"1"}}`, `env: is an object, must be a list`},
		{"a text for a flag", `{"support_direct_put":"yes"}`, `support_direct_put: is a string, must be true or false`},
		{"a text for an object", `{"funcs":"transform"}`, `funcs: is a string, must be an object`},
		{"no object", `[]`, `is a list, must be an object`},
		{"no JSON", `not json`, `invalid character`},
		{"nothing", ``, `unexpected end of JSON input`},
		{"a duration that is negative", `{"obj_timeout":"-1s"}`, `obj_timeout: "-1s" is not a duration`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := api.ParseETLSpec([]byte(tt.body))
			require.ErrorContains(t, err, tt.want)
		})
	}
	s, err := api.ParseETLSpec([]byte(`{"NAME":"etl-a1","Runtime":{"image":"x"},"resources":{"limits":{"cpu":1}},"init_timeout":null}`))
	require.NoError(t, err)
	require.Equal(t, "etl-a1", s.Name)
	require.JSONEq(t, `{"limits":{"cpu":1}}`, string(s.Resources))
}

func FuzzFieldProblems(f *testing.F) {
	f.Add([]byte(`{"env":[{"name":1}],"init_timeout":45,"funcs":{"transform":[]}}`))
	f.Add([]byte(`[[[[1]]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		problems := api.FieldProblems("x", data, func(b []byte) error { return json.Unmarshal(b, new(api.ETLSpec)) })
		for _, p := range problems {
			require.Regexp(t, `^x`, p)
			require.NotContains(t, p, "\n")
		}
		if json.Unmarshal(data, new(api.ETLSpec)) == nil {
			require.Empty(t, problems)
		}
	})
}
