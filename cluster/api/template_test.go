package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

func TestTemplateNames(t *testing.T) {
	for template, want := range map[string]string{
		"shard-{1..3}.tar":     "shard-1.tar shard-2.tar shard-3.tar",
		"shard-{001..003}.tar": "shard-001.tar shard-002.tar shard-003.tar",
		"{098..102}":           "098 099 100 101 102",
		"{8..11}":              "8 9 10 11",
		"{1..02}":              "1 2",
		"{0..10..4}":           "0 4 8",
		"a{1..2}-{07..08}b":    "a1-07b a1-08b a2-07b a2-08b",
		"{1..2}}":              "1} 2}",
		"shard-@2":             "shard-0 shard-1 shard-2",
		"shard-@02.tar":        "shard-00.tar shard-01.tar shard-02.tar",
		"@1-@1":                "0-0 0-1 1-0 1-1",
		"me@home/@1":           "me@home/0 me@home/1",
		"{5..5}":               "5",
		"{9223372036854775806..9223372036854775807}": "9223372036854775806 9223372036854775807",
	} {
		t.Run(template, func(t *testing.T) {
			p, err := api.ParseTemplate(template)
			require.NoError(t, err)
			_, only := p.Prefix()
			require.False(t, only)
			names := slices.Collect(p.Names())
			require.Equal(t, strings.Fields(want), names)
			n, err := p.Count()
			require.NoError(t, err)
			require.EqualValues(t, len(names), n)
		})
	}
}

func TestTemplatePrefix(t *testing.T) {
	for template, want := range map[string]string{"": "", "*": "", "dir/": "dir/", "a@b": "a@b", "100%": "100%"} {
		p, err := api.ParseTemplate(template)
		require.NoError(t, err)
		prefix, only := p.Prefix()
		require.True(t, only, template)
		require.Equal(t, want, prefix)
		require.Empty(t, slices.Collect(p.Names()))
	}
}

func TestTemplateIsRefused(t *testing.T) {
	for template, want := range map[string]string{
		"a-{001..009":               "is no range",
		"{002..001}":                "begins behind its end",
		"{1..9..0}":                 "at least 1",
		"{1..9..-1}":                "is no range",
		"{1..}":                     "is no range",
		"{a..z}":                    "is no range",
		"{{1..2}}":                  "is no range",
		"{1..2{3..4}}":              "is no range",
		"x-%06d":                    "has no end",
		"{0..10000000}":             "more than 10000000 names",
		"{0..10000}-{0..999}":       "more than 10000000 names",
		"@4000000000@4000000000":    "more than 10000000 names",
		"{0..9223372036854775807}":  "more than 10000000 names",
		"{0..99999999999999999999}": "is too large",
	} {
		_, err := api.ParseTemplate(template)
		require.ErrorContains(t, err, want, template)
	}
	p, err := api.ParseTemplate("{0..9999999}")
	require.NoError(t, err, "the most there may be")
	n, err := p.Count()
	require.NoError(t, err)
	require.EqualValues(t, api.MaxTemplateNames, n)
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "a{1..3}b@4", "@100", "{0..10..2}", "%d", "{1..2}{3..4}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := api.ParseTemplate(s)
		if err != nil {
			return
		}
		prefix, only := p.Prefix()
		i := 0
		for name := range p.Names() {
			require.False(t, only)
			require.True(t, strings.HasPrefix(name, prefix))
			if i++; i == 100 {
				break
			}
		}
	})
}
