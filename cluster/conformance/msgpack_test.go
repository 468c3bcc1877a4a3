package conformance

import (
	"encoding/json"
	"strconv"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/etlbench/etlbench/cluster/api"
)

// msgpack compares a msgpack body by its tree, and by its keys' order where
// the recording has the bytes. One that we give as JSON is compared under the
// long names that it has there.
func (c *comparison) msgpack(r *rig, want *side, got *reply) {
	var order, theirs []string
	if got.header.Get("Content-Type") == api.MimeJSON {
		c.walk("body", longNames(tree(string(want.Body)), statusNames), tree(c.names.recorded(string(got.body))))
		return
	}
	v, rest, err := decodeMsgpack(got.body, &order)
	if err != nil || len(rest) > 0 {
		c.diffs["body"] = diff{encodingMsgpack, bodyText(c.names.recorded(string(got.body)))}
		return
	}
	c.walk("body", tree(string(want.Body)), c.names.recordedTree(v))
	if want.Raw != nil {
		_, _, err := decodeMsgpack(want.Raw, &theirs)
		require.NoError(r, err)
		c.scalar("body.keys", theirs, order)
	}
}

// decodeMsgpack decodes one value, and appends all keys in the order that they
// come in, each with the type of its value.
func decodeMsgpack(b []byte, keys *[]string) (v any, rest []byte, err error) {
	switch t := msgp.NextType(b); t {
	case msgp.MapType:
		n, b, err := msgp.ReadMapHeaderBytes(b)
		m := map[string]any{}
		for range n {
			var k string
			if k, b, err = msgp.ReadStringBytes(b); err != nil {
				return nil, b, err
			}
			*keys = append(*keys, k+" "+msgp.NextType(b).String())
			if m[k], b, err = decodeMsgpack(b, keys); err != nil {
				return nil, b, err
			}
		}
		return m, b, err
	case msgp.ArrayType:
		n, b, err := msgp.ReadArrayHeaderBytes(b)
		list := make([]any, n)
		for i := range list {
			if list[i], b, err = decodeMsgpack(b, keys); err != nil {
				return nil, b, err
			}
		}
		return list, b, err
	case msgp.IntType:
		i, b, err := msgp.ReadInt64Bytes(b)
		return json.Number(strconv.FormatInt(i, 10)), b, err
	case msgp.UintType:
		i, b, err := msgp.ReadUint64Bytes(b)
		return json.Number(strconv.FormatUint(i, 10)), b, err
	default:
		return msgp.ReadIntfBytes(b)
	}
}

// names of a node's status in JSON, by those in msgpack. "" leaves a field out,
// a text is the name of a value and a nested map, under "", of what it is made
// of.
type longer map[string]any

var (
	netNames   = longer{"h": "node_ip_addr", "p": "daemon_port", "u": "direct_url", "tcpEndpoint": ""}
	metaNames  = longer{"UUID": "uuid", "Version": "version"}
	smapNames  = longer{"Primary": longer{"": "Primary", "PubURL": "pub_url", "CtrlURL": "control_url", "ID": "id"}, "UUID": "uuid", "Version": "version"}
	snodeNames = longer{"p": under("public_net", netNames), "d": under("intra_data_net", netNames), "c": under("intra_control_net", netNames),
		"t": "daemon_type", "i": "daemon_id", "name": "", "f": "flags", "g": "id_digest", "v": "verifying_key"}
	diskNames    = longer{"m": "mountpaths", "e": "cs_err", "u": "total_used", "a": "total_avail", "x": "pct_max", "v": "pct_avg", "n": "pct_min"}
	clusterNames = longer{"s": under("smap", smapNames), "b": under("bmd", metaNames), "r": under("rmd", metaNames),
		"c": under("config", metaNames), "e": under("etlmd", metaNames), "f": "flags"}
	sysNames = longer{"u": "mem_used", "a": "mem_avail", "p": "pct_mem_used", "c": "pct_cpu_used", "t": "cpu_util",
		"l": longer{"": "load_avg", "o": "One", "f": "Five", "t": "Fifteen"},
		"m": longer{"": "mem", "t": "Total", "u": "Used", "f": "Free", "b": "BuffCache", "af": "ActualFree", "au": "ActualUsed",
			"st": "SwapTotal", "sf": "SwapFree", "su": "SwapUsed"},
		"r": longer{"": "proc", "c": longer{"": "CPU", "u": "User", "s": "System", "t": "Total", "l": "LastTime", "p": "Percent"},
			"m": longer{"": "Mem", "s": "Size", "r": "Resident", "h": "Share"}}}
	statusNames = longer{"s": "status", "d": "deployment", "v": "ais_version", "b": "build_time", "k": "k8s_pod_name",
		"n": under("snode", snodeNames), "t": "tracker", "x": under("capacity", diskNames), "c": under("cluster", clusterNames),
		"y": under("sys_info", sysNames), "w": "smap_version"}
)

func under(name string, names longer) longer {
	m := longer{"": name}
	for k, v := range names {
		m[k] = v
	}
	return m
}

// asText are numbers that JSON has as text.
var asText = map[string]bool{"version": true, "smap_version": true, "total_used": true, "total_avail": true}

// longNames gives the fields of a tree their long names.
func longNames(v any, names longer) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, v := range m {
		switch n := names[k].(type) {
		case longer:
			out[n[""].(string)] = longNames(v, n)
		case string:
			if num, ok := v.(json.Number); ok && asText[n] {
				v = num.String()
			}
			if n != "" {
				out[n] = v
			}
		default:
			out[k] = v
		}
	}
	return out
}
