//go:build browser

package reports_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// everyFactor is a run with something to show in every section: types, sizes
// and workers, in blocks, whose operations wait before they are sent.
func everyFactor() runtest.Plan {
	p := runtest.Plan{Seed: 3, Blocks: 6, WarmupS: 1, ForS: 4, PerSecond: 60, Noise: 0.02}
	sizes := map[string]float64{"64KiB": 1. / 16, "1MiB": 1, "4MiB": 4}
	bySize := map[string]float64{} // MiB of an arm
	for i, comm := range []string{"hpush", "io"} {
		for _, size := range []string{"64KiB", "1MiB", "4MiB"} {
			for _, n := range []int{1, 2} {
				arm := results.Arm{Name: fmt.Sprintf("%s:%s:%d", comm, size, n), Comm: comm, Mode: "inline", Transform: "echo", Size: size, Workers: n}
				p.Arms = append(p.Arms, runtest.Arm{Arm: arm, Ms: 5 + 4*float64(i) + 3*sizes[size], Shape: 0.1, Wait: 2, Inside: 0.7})
				bySize[arm.Name] = sizes[size]
			}
		}
	}
	p.Change = func(s *results.Summary) {
		grow := func(name string, m *results.Measured) {
			m.BytesIn = int64(float64(m.Ops) * bySize[name] * (1 << 20))
		}
		for i := range s.Rows {
			grow(s.Rows[i].Name, &s.Rows[i].Measured)
		}
		for i := range s.Samples {
			grow(s.Samples[i].Arm, &s.Samples[i].Measured)
		}
	}
	return p
}

// overloaded is a run of one size whose operations were shed: not valid, and
// nothing to compare.
func overloaded() runtest.Plan {
	p := fourWay()
	p.Blocks = 2
	for i := range p.Arms {
		p.Arms[i].Shed, p.Arms[i].Errors = 20, 3
	}
	return p
}

// page is an open report and what went wrong in it.
type page struct {
	context.Context
	mu       sync.Mutex // guards what follows
	troubles []string   // errors on the console, requests to anywhere
}

// open writes a run folder with its reports and opens the page in Chromium.
func openPage(t *testing.T, plan runtest.Plan) *page {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	runtest.Write(t, dir, plan)
	require.NoError(t, writeFolder(dir))
	file := filepath.Join(dir, "report.html")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(1<<20))
	p := &page{Context: browser(t)}
	require.NoError(t, chromedp.Listen(p, func(ev any) { p.note(ev, "file://"+file) }))
	call(t, p, log.Enable, cdp.Empty{})
	call(t, p, network.Enable, network.EnableParams{})
	p.resize(t, 1280, false)
	require.NoError(t, chromedp.Do(p, chromedp.Navigate("file://"+file)))
	return p
}

func call[P, R any](t *testing.T, p *page, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(p, command, params)
	require.NoError(t, err)
}

func (p *page) resize(t *testing.T, width int64, mobile bool) {
	t.Helper()
	call(t, p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: mobile})
}

// browser starts a Chromium that ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	require.NoError(t, err, "this test needs Chromium: apt-get install chromium")
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// note keeps what a page of its own must not do.
func (p *page) note(ev any, self string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		p.troubles = append(p.troubles, fmt.Sprintf("console: %s", ev.Type))
	case *runtime.EventExceptionThrown:
		p.troubles = append(p.troubles, ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.troubles = append(p.troubles, ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		if url, _, _ := strings.Cut(ev.Request.URL, "#"); url != self {
			p.troubles = append(p.troubles, "request: "+url)
		}
	}
}

// eval is the value of a JavaScript expression.
func eval[T any](t *testing.T, p *page, expression string) T {
	t.Helper()
	v, err := chromedp.Run(p, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return v
}

// do runs JavaScript.
func (p *page) do(t *testing.T, script string) {
	t.Helper()
	require.NoError(t, chromedp.Do(p, chromedp.Evaluate[chromedp.Void](script)), script)
}

func (p *page) press(t *testing.T, key string) {
	t.Helper()
	require.NoError(t, chromedp.Do(p, chromedp.KeyEvent(key)))
}

// tabTo presses the tabulator until what has the focus satisfies a condition.
func (p *page) tabTo(t *testing.T, condition string) {
	t.Helper()
	for range 400 {
		p.press(t, kb.Tab)
		if eval[bool](t, p, "(e => "+condition+")(document.activeElement)") {
			return
		}
	}
	t.Fatalf("no key leads to %s", condition)
}

func (p *page) quiet(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.troubles)
}

// shown counts the figures of a section that are displayed, by class.
func (p *page) shown(t *testing.T, section, class string) int {
	return eval[int](t, p, fmt.Sprintf(`[...document.querySelectorAll('section[aria-labelledby=%s] figure.%s')].filter(f => f.checkVisibility()).length`, section, class))
}

func TestBrowserShowsEverySection(t *testing.T) {
	p := openPage(t, everyFactor())
	sections := eval[[]string](t, p, `[...document.querySelectorAll('section')].map(s => s.getAttribute('aria-labelledby'))`)
	require.Equal(t, []string{"verdict", "comm", "latency", "time", "size", "scaling", "comparison", "health", "reproduce"}, sections)
	for _, s := range sections {
		require.True(t, eval[bool](t, p, fmt.Sprintf(`document.getElementById('%s').checkVisibility()`, s)), s)
		require.NotEmpty(t, eval[string](t, p, fmt.Sprintf(`document.getElementById('%s').nextElementSibling.innerText`, s)), s)
	}
	for _, s := range []string{"comm", "latency", "time", "size", "scaling", "comparison"} {
		require.Positive(t, eval[int](t, p, fmt.Sprintf(`document.querySelectorAll('section[aria-labelledby=%s] svg').length`, s)), s)
	}
	require.Zero(t, eval[int](t, p, `document.querySelectorAll('.missing').length`))
	p.chartsAreDrawn(t)
	p.quiet(t)
}

// chartsAreDrawn tells that every chart has lines, bars or marks with a size,
// beside its grid, and that no label is cut off.
func (p *page) chartsAreDrawn(t *testing.T) {
	t.Helper()
	p.do(t, `document.head.insertAdjacentHTML('beforeend', '<style>figure { display: block !important }</style>')`)
	require.Empty(t, eval[[]string](t, p, `[...document.querySelectorAll('figure')].filter(f =>
		![...f.querySelectorAll('svg path')].some(e => /--c[0-9]/.test(e.getAttribute('style')) && e.getBBox().width + e.getBBox().height > 0)
	).map(f => f.innerText)`), "charts without marks")
	require.Empty(t, eval[[]string](t, p, `[...document.querySelectorAll('svg text')].filter(e => {
		const r = e.getBoundingClientRect(), s = e.closest('svg').getBoundingClientRect()
		return r.left < s.left - 2 || r.right > s.right + 2 || r.top < s.top - 2 || r.bottom > s.bottom + 2
	}).map(e => e.closest('figure').querySelector('b').innerText + ': ' + e.textContent)`), "labels that are cut off")
	require.Empty(t, eval[[]string](t, p, `[...document.querySelectorAll('svg')].filter(s => {
		const boxes = [...s.querySelectorAll('text')].filter(e => !e.closest('[transform*=rotate]')).map(e => e.getBoundingClientRect())
		return boxes.some((a, i) => boxes.some((b, j) => j > i && a.left < b.right - 3 && b.left < a.right - 3 && a.top < b.bottom - 4 && b.top < a.bottom - 4))
	}).map(s => s.querySelector('title').textContent)`), "labels on top of each other")
}

func TestBrowserKeyboard(t *testing.T) {
	p := openPage(t, everyFactor())
	response, times := p.shown(t, "latency", "v0"), p.shown(t, "time", "v0")
	require.Positive(t, response)
	require.Positive(t, times)
	require.Zero(t, p.shown(t, "latency", "v1"))

	p.tabTo(t, `e.hash == '#time'`) // the links come first
	p.press(t, kb.Enter)
	require.Equal(t, "#time", eval[string](t, p, `location.hash`))
	p.do(t, `document.querySelector('nav a').focus()`)

	p.tabTo(t, `e.name == 'choice-latency'`)
	p.press(t, kb.ArrowRight)
	require.Equal(t, []int{0, response}, []int{p.shown(t, "latency", "v0"), p.shown(t, "latency", "v1")})
	require.Equal(t, times, p.shown(t, "time", "v0"), "the other choice stays")
	p.press(t, kb.ArrowLeft)
	require.Equal(t, []int{response, 0}, []int{p.shown(t, "latency", "v0"), p.shown(t, "latency", "v1")})

	p.tabTo(t, `e.tagName == 'SUMMARY'`)
	p.press(t, kb.Enter)
	require.True(t, eval[bool](t, p, `document.activeElement.parentElement.open`))

	p.tabTo(t, `e.name == 'choice-time'`)
	p.press(t, kb.ArrowRight)
	p.press(t, kb.ArrowRight)
	require.Equal(t, []int{0, 0, times}, []int{p.shown(t, "time", "v0"), p.shown(t, "time", "v1"), p.shown(t, "time", "v2")})
	p.quiet(t)
}

// contrasts are those of text with its background: of all text, and of the
// palette's lines in charts.
const contrasts = `(() => {
	const rgb = c => c.match(/[\d.]+/g).slice(0, 3).map(Number)
	const light = c => rgb(c).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0)
	const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05)
	const under = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c } return 'rgb(255, 255, 255)' }
	const text = [...document.querySelectorAll('h1, h2, p, li, td, th, dt, dd, a, summary, figcaption span, label')].filter(e => e.checkVisibility() && e.innerText.trim())
	const marks = [...document.querySelectorAll('.legend i')].filter(e => e.checkVisibility())
	return {text: Math.min(...text.map(e => ratio(getComputedStyle(e).color, under(e)))), marks: marks.map(e => getComputedStyle(e).color).join(' '), page: light(under(document.body))}
})()`

func TestBrowserLightAndDark(t *testing.T) {
	p := openPage(t, everyFactor())
	type look struct {
		Text, Page float64
		Marks      string
	}
	see := func(scheme string) look {
		feature := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}
		call(t, p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}})
		return eval[look](t, p, contrasts)
	}
	light, dark := see("light"), see("dark")
	require.Greater(t, light.Page, 0.9)
	require.Less(t, dark.Page, 0.1)
	require.NotEqual(t, light.Marks, dark.Marks, "charts change too")
	require.GreaterOrEqual(t, light.Text, 4.5, "WCAG 2, AA")
	require.GreaterOrEqual(t, dark.Text, 4.5, "WCAG 2, AA")
	p.quiet(t)
}

func TestBrowserPrint(t *testing.T) {
	p := openPage(t, everyFactor())
	call(t, p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	require.Zero(t, eval[int](t, p, `[...document.querySelectorAll('nav, details, .choice')].filter(e => e.checkVisibility()).length`))
	p.quiet(t)
}

func TestBrowserPhone(t *testing.T) {
	p := openPage(t, everyFactor())
	p.resize(t, 360, true)
	require.NoError(t, chromedp.Do(p, chromedp.Reload()))
	require.Equal(t, 360, eval[int](t, p, `document.scrollingElement.scrollWidth`), "tables scroll, not the page")
	p.quiet(t)
}

func TestBrowserSaysWhatIsMissing(t *testing.T) {
	p := openPage(t, overloaded())
	require.Equal(t, []string{"size", "scaling"},
		eval[[]string](t, p, `[...document.querySelectorAll('.missing')].map(e => e.closest('section').getAttribute('aria-labelledby'))`))
	require.Contains(t, eval[string](t, p, `document.querySelector('section[aria-labelledby=comparison]').innerText`), "No comparison")
	require.Contains(t, eval[string](t, p, `document.querySelector('section[aria-labelledby=latency]').innerText`), "infinitely late")
	p.chartsAreDrawn(t)
	p.quiet(t)
}

// What the other tests look for would be seen.
func TestBrowserNoticesTroubles(t *testing.T) {
	for name, script := range map[string]string{
		"console": `console.error('x')`,
		"request": `document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x.png">')`,
		"error":   `setTimeout(() => { throw new Error('x') })`,
	} {
		t.Run(name, func(t *testing.T) {
			p := openPage(t, overloaded())
			p.quiet(t)
			p.do(t, script)
			require.Eventually(t, func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return len(p.troubles) > 0
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}
