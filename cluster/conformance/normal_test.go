package conformance

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// What differs between any two runs of any cluster is made the same before it
// is compared, here and nowhere else:
//
//   - addresses of nodes and pods, ids of jobs and runs, and checksums of
//     contents that the recordings have in part, by translating them: names_test.go;
//   - the fields below, by the rule that is given;
//   - the sums of jobs that were aborted, which tell how far they came: howFar;
//   - ports of clients and the time in a redirect: normalText;
//   - a node's three networks, which are one here: normalNet.
var rules = []struct {
	field *regexp.Regexp
	rule  func(v any) any
	why   string
}{
	{re(`^header\.(Ais-Atime|Ais-Cluster-Uptime|Ais-Node-Uptime)$`), number, "times"},
	{re(`^header\.Last-Modified$`), anyText, "a time"},
	{re(`^header\.Etag$`), replace(`-[0-9a-z]+"$`, `-<time>"`), "ends in a time"},
	{re(`^header\.(Ais-Location|Ais-Mirror-Paths)$`), replace(`/[^,\]]+(, vda, hdd)?`, "<folder>"), "folders of a machine"},
	{re(`\.location$|^body\.Entries\[\d+\]\.t$`), replace(`/[^,\]]+(, vda, hdd)?`, "<folder>"), "folders of a machine"},
	{re(`\.(bid|created)$`), number, "a bucket's id and when it was made"},
	{re(`\.(start-time|end-time)$`), when, "times: what counts is whether a job has ended"},
	{re(`\.end_time$`), when, "likewise"},
	{re(`\.(creation_time|lastupdate_time)$`), anyText, "times"},
	{re(`\.(atime|a)$`), replace(`^\d\d \w{3} \d\d \d\d:\d\d UTC$`, "<time>"), "times"},
	{re(`\.glob\.id$`), number, "the contract gives its type only"},
	{re(`\.ctlmsg$`), replace(`;.*`, ""), "text for people, of which the first part says what the job is; the contract gives its type only"},
	{re(`^body\.(\w+\.)*(smap|bmd|rmd|config|etlmd)\.version$|^body\.(smap_)?version$`), number, "versions of metadata: they count what happened before"},
	{re(`\.remote_addr$`), anyText, "the client's address"},
	{re(`\.(control_url|primary_url|original_url)$`), replace(`^http://[\d.]+:\d*(\d\d)$`, "http://<host>:<port $1>"), "a node has one network here"},
	{re(`^asked\.request_uri$`), replace(`etl_fqn=%252F[^&]*`, "etl_fqn=<file>"), "files of a machine; the pod has opened it"},
	{re(`^asked\.(direct_put\.url|headers\.Ais-Node-Url\[0\]|direct_put\.request_headers\.Ais-Node-Url\[0\])$|\.AIS_TARGET_URL$`),
		podURL, "secrets; a node has one network here"},
	{re(`\.env\.ETLBENCH_FQN_ROOT$`), anyText, "a folder of a machine"},
	{re(`\.tracker$`), object, "counters of AIStore's own metrics: the contract gives an object"},
	{re(`\.host_net\.`), anyText, "addresses and ports"},
	{re(`\.test_fspaths$`), object, "folders of a machine"},
	{re(`^body\.cluster\.flags$`), number, "alerts of a machine, such as a disk that is nearly full"},
	{re(`\.mountpaths$`), object, "folders of a machine"},
	{re(`\.sys_info\.(\w+\.)*\w+$`), measured, "what a machine has"},
	{re(`\.(total_used|total_avail|pct_max|pct_avg|pct_min)$`), number, "what a machine's disks have"},
	{re(`\.(size_on_disk|total_disks_size|used_pct)$`), number, "what a machine's disks have"},
	{re(`\.(ais_version|build_time|deployment|k8s_pod_name)$`), anyText, "which build it is, and on what"},
	{re(`\.(confdir|log_dir|root)$`), anyText, "folders of a machine"},
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// ids are the fields that hold an id which may be new: it is taken for the
// recorded one from then on.
var ids = re(`^header\.Ais-Xaction-Id$|^body\.(UUID|uuid)$|^body$|\.(uuid|xaction_id)$`)

// unordered are lists whose order the contract leaves open. Their elements are
// found by one of these keys, or by themselves.
var (
	unordered     = re(`^body(\.\w+)?$`)
	unorderedKeys = []string{"target_id", "uuid", "id"}
)

// optional are fields that the contract calls optional.
var optional = re(`\.verifying_key$`)

// decimal writes numbers with a fraction in one way.
func decimal(n json.Number) any {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}

func number(v any) any {
	s, isText := v.(string)
	if !isText {
		if _, ok := v.(json.Number); !ok {
			return v
		}
		return "<number>"
	}
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return v
	}
	return "<digits>"
}

// measured is number for what is not made of other values.
func measured(v any) any {
	if _, ok := v.(map[string]any); ok {
		return v
	}
	return number(v)
}

func anyText(v any) any {
	if _, ok := v.(string); !ok {
		return v
	}
	return "<text>"
}

func object(v any) any {
	if _, ok := v.(map[string]any); !ok {
		return v
	}
	return "<object>"
}

func when(v any) any {
	switch v := v.(type) {
	case json.Number:
		if v == "0" {
			return "<never>"
		}
	case string:
		if strings.HasPrefix(v, "0001-01-01T00:00:00") {
			return "<never>"
		}
	default:
		return v
	}
	return "<time>"
}

func replace(pattern, by string) func(any) any {
	p := re(pattern)
	return func(v any) any {
		if s, ok := v.(string); ok {
			return p.ReplaceAllString(s, by)
		}
		return v
	}
}

// howFar leaves of an aborted job's sums that they are numbers.
func howFar(snap map[string]any) map[string]any {
	stats, ok := snap["stats"].(map[string]any)
	if !ok {
		return snap
	}
	snap, stats = maps.Clone(snap), maps.Clone(stats)
	for k := range stats {
		stats[k] = number(stats[k])
	}
	snap["stats"] = stats
	return snap
}

// podURL is a URL under which a target's objects are, for pods.
func podURL(v any) any {
	v = replace(`(/_object/[\w-]+)/\w+`, "$1/<secret>")(v)
	return replace(`:100(8\d)\b`, ":80$1")(v)
}

var (
	peers = re(`\b(127\.0\.0\.\d|10\.99\.0\.1):(3[2-9]|[4-6]\d)\d{3}\b`) // clients' ports; pods had 31xxx
	utm   = re(`\butm=[0-9a-z]+`)

	smapVersion = re(`\bSmap v\d+`)
)

func normalText(s string) string {
	s = utm.ReplaceAllString(peers.ReplaceAllString(s, "<client>"), "utm=<time>")
	s = smapVersion.ReplaceAllString(s, "Smap v<n>")
	return strings.ReplaceAll(s, "127.0.0.2", "127.0.0.1") // the control network of some recorded nodes
}

// nets are the networks of a node: recorded nodes have three, ours has one.
var nets = re(`(^|\.)(public_net|intra_control_net|intra_data_net)$`)

// normalNet leaves the port's last two digits of an address, by which a
// recorded node's networks are the same.
func normalNet(v any) any {
	net, ok := v.(map[string]any)
	if !ok {
		return v
	}
	port, _ := net["daemon_port"].(string)
	url, _ := net["direct_url"].(string)
	addr, _ := net["node_ip_addr"].(string)
	if len(port) < 2 || url != "http://"+addr+":"+port {
		return v
	}
	return "http://<host>:<port " + port[len(port)-2:] + ">"
}
