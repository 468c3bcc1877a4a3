package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var printTable = flag.Bool("table", false, "print what was replayed, what deviates, and what was left out")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if err := goleak.Find(
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*Client).mCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestConformance replays all recordings. A recording of a session needs those
// before it.
func TestConformance(t *testing.T) {
	all := load(t)
	t.Run("sessions", func(t *testing.T) {
		for _, s := range sessions {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.replay(newRig(t, all, s.cluster))
			})
		}
		t.Run("transformer", func(t *testing.T) {
			t.Parallel()
			transformer(newRig(t, all, etl))
		})
	})
	if *printTable {
		printReplayed(all)
	}
}

// replay replays a session on a cluster that has just started.
func (s *session) replay(r *rig) {
	t := r.T
	for _, st := range s.steps {
		if st.do != nil {
			st.do(r)
			continue
		}
		t.Run(st.file, func(t *testing.T) {
			r.T = t
			check(t, st.file, r.all[st.file], r.replay(r.all[st.file]))
		})
		r.T = t
	}
}

// check compares what differs in a file with what may.
func check(t *testing.T, file string, rec *recording, got map[int]diffs) {
	for _, e := range rec.Exchanges {
		at := fmt.Sprintf("%s#%d", file, e.Seq)
		for _, c := range complaints(got[e.Seq], allowedAt(at)) {
			t.Errorf("%s %s", at, c)
		}
	}
}

// complaints are about what differs and must not, what differs otherwise than
// it may, and what may differ and does not.
func complaints(got diffs, allowed map[string]string) (list []string) {
	for _, f := range slices.Sorted(maps.Keys(got)) {
		d := got[f]
		if want, ok := allowed[f]; !ok {
			list = append(list, fmt.Sprintf("%s\n  recorded %s\n  ours     %s", f, show(d.want), show(d.got)))
		} else if want != show(d.got) {
			list = append(list, fmt.Sprintf("%s deviates otherwise than it may\n  allowed  %s\n  ours     %s", f, want, show(d.got)))
		}
	}
	for _, f := range slices.Sorted(maps.Keys(allowed)) {
		if _, ok := got[f]; !ok {
			list = append(list, f+" may deviate and does not: strike it off the deviations")
		}
	}
	return list
}

func TestComplaints(t *testing.T) {
	differs := diffs{"status": {200, 404}}
	require.Empty(t, complaints(differs, map[string]string{"status": "404"}))
	for name, list := range map[string][]string{
		"recorded 200":                  complaints(differs, nil),
		"allowed  500":                  complaints(differs, map[string]string{"status": "500"}),
		"body may deviate and does not": complaints(differs, map[string]string{"status": "404", "body": `"x"`}),
	} {
		require.Len(t, list, 1, name)
		require.Contains(t, list[0], name)
	}
}

// allowedAt is what may deviate in an exchange, by field.
func allowedAt(at string) map[string]string {
	allowed := map[string]string{}
	for _, d := range deviations {
		if slices.Contains(d.at, at) {
			maps.Copy(allowed, d.want)
		}
	}
	return allowed
}

// show writes a value as the deviations have it.
func show(v any) string {
	if v == absent {
		return absent
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// TestEveryRecordingIsAccountedFor counts the files of the index.
func TestEveryRecordingIsAccountedFor(t *testing.T) {
	all := load(t)
	used := map[string]int{}
	for _, f := range replayed() {
		used[f]++
	}
	for f := range notReplayed {
		used[f]++
	}
	// The index has one file twice.
	for _, f := range slices.Compact(index(t)) {
		require.NotNil(t, all[f], "%s is not in testdata", f)
		require.Equal(t, 1, used[f], "%s must be replayed once, or be left out with a reason", f)
		delete(used, f)
	}
	require.Empty(t, used, "not in the index")
	for _, d := range deviations {
		require.NotEmpty(t, d.line)
		for _, at := range d.at {
			file, seq, _ := strings.Cut(at, "#")
			require.NotNil(t, all[file], at)
			require.True(t, file[:4] == "tran" || slices.ContainsFunc(all[file].Exchanges, func(e exchange) bool { return fmt.Sprint(e.Seq) == seq }), at)
		}
	}
}

func replayed() []string {
	var list []string
	for _, s := range sessions {
		for _, st := range s.steps {
			if st.file != "" {
				list = append(list, st.file)
			}
		}
	}
	for _, c := range transformerCases {
		list = append(list, c.file)
	}
	return list
}

// printReplayed prints the table of make conformance.
func printReplayed(all map[string]*recording) {
	folder := func(file string) string { f, _, _ := strings.Cut(file, "/"); return f }
	files, exchanges, deviating := map[string]int{}, map[string]int{}, map[string]map[string]bool{}
	for _, f := range replayed() {
		files[folder(f)]++
		exchanges[folder(f)] += max(1, len(all[f].Exchanges))
	}
	out := table.NewWriter()
	out.AppendHeader(table.Row{"deviation: exchange", "fields", "line of the contract"})
	for _, d := range deviations {
		for _, at := range d.at {
			if deviating[folder(at)] == nil {
				deviating[folder(at)] = map[string]bool{}
			}
			deviating[folder(at)][at] = true
			out.AppendRow(table.Row{at, strings.Join(slices.Sorted(maps.Keys(d.want)), "\n"), d.line})
		}
	}
	out.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
	fmt.Println(out.Render())
	out = table.NewWriter()
	out.AppendHeader(table.Row{"not replayed", "reason"})
	for _, f := range slices.Sorted(maps.Keys(notReplayed)) {
		out.AppendRow(table.Row{f, notReplayed[f]})
	}
	fmt.Println(out.Render())
	out = table.NewWriter()
	out.AppendHeader(table.Row{"recordings", "files replayed", "exchanges", "of these deviate", "files not replayed"})
	var sum [4]int
	for _, f := range slices.Sorted(maps.Keys(files)) {
		left := 0
		for n := range notReplayed {
			if folder(n) == f {
				left++
			}
		}
		out.AppendRow(table.Row{f, files[f], exchanges[f], len(deviating[f]), left})
		for i, n := range []int{files[f], exchanges[f], len(deviating[f]), left} {
			sum[i] += n
		}
	}
	out.AppendFooter(table.Row{"all", sum[0], sum[1], sum[2], sum[3]})
	fmt.Println(out.Render())
}
