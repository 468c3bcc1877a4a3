package conformance

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// session is a cluster's life: files in the order that they were recorded in,
// with steps between them that bring about what the recordings leave out.
type session struct {
	name    string
	cluster recordedCluster
	steps   []step
}

// step is a file to replay, or something to do.
type step struct {
	file string
	do   func(*rig)
}

func files(names string) []step {
	var list []step
	for _, n := range strings.Fields(names) {
		list = append(list, step{file: n + ".json"})
	}
	return list
}

func do(fn func(*rig)) []step { return []step{{do: fn}} }

func steps(parts ...[]step) (list []step) {
	for _, p := range parts {
		list = append(list, p...)
	}
	return list
}

var sessions = []session{
	{"plain", plain, steps(
		files("cli/create cli/create-bucket2 cli/create-dup cli/lsb cli/lsb2 cli/put cli/put2"),
		files("cli/ls cli/ls-all cli/head-bck cli/get cli/get2 cli/get-range cli/head-obj cli/rm-obj"),
		files("cli/cluster-smap cli/show-cluster cli/cp cli/cp-wait cli/cp-tmpl cli/cp-dry"),
		files("cli/job-cp cli/show-job cli/job cli/job-all cli/rmb"),
		// That cluster had no Kubernetes: no ETL could be made there.
		files("cli/etl-ls cli/etl-init-spec"), do(deleteETLs),
		files("cli/etl-init-spec2"), do(deleteETLs),
		files("cli/etl-show cli/etl-details cli/etl-logs cli/etl-start cli/etl-stop cli/etl-rm cli/etl-object cli/etl-bucket"),
		files("aisloader/aisloader-put"), do(listed("lll", "aisloader/aisloader-get")), do(read("aisloader/aisloader-get")),
		files("aisloader/aisloader-get"), do(read("aisloader/aisloader-get-verify")),
		files("aisloader/aisloader-get-verify aisloader/aisloader-mixed aisloader/aisloader-cleanup"), do(destroy("lll2")),
		do(listed("lll", "aisloader/aisloader-etl-spec")), files("aisloader/aisloader-etl-spec"), do(deleteETLs),

		files("cluster/health cluster/health-prr cluster/health-readiness cluster/health-cii cluster/health-target"),
		files("cluster/smap cluster/smap-target cluster/cluster-smap cluster/snode cluster/bmd cluster/daemon-badwhat cluster/daemon-config"),
		files("cluster/cluster-config cluster/cluster-remote cluster/cluster-targetips cluster/cluster-badwhat"),
		files("cluster/reverse-bad cluster/reverse-node-status-json cluster/reverse-node-status-msgpack"),
		files("cluster/bucket-create cluster/bucket-create-dup cluster/bucket-create-nobody cluster/bucket-create-badname"),
		files("cluster/bucket-create-props cluster/bucket-patch cluster/bucket-badaction cluster/bucket-garbage"),
		files("cluster/bucket-head cluster/bucket-head-404 cluster/bucket-head-binfo"),
		files("cluster/bucket-list cluster/bucket-list-name cluster/bucket-list-empty-body"),
		files("cluster/obj-put cluster/obj-put-provider cluster/obj-put-expect cluster/obj-put-chunked cluster/obj-put-cksum"),
		files("cluster/obj-put-badcksum cluster/obj-put-badcksumtype cluster/obj-put-custom cluster/obj-put-again cluster/obj-put-empty"),
		files("cluster/obj-put-nobck cluster/obj-put-badname cluster/obj-put-badprovider"),
		files("cluster/obj-get cluster/obj-get-noprovider cluster/obj-get-custom cluster/obj-get-range cluster/obj-get-badrange"),
		files("cluster/obj-get-404 cluster/obj-get-nobck cluster/obj-get-special cluster/obj-put-special cluster/obj-get-special2"),
		files("cluster/obj-head cluster/obj-head-props cluster/obj-head-404"),
		files("cluster/obj-direct-target-get cluster/obj-direct-target-get2 cluster/obj-direct-target-put"),
		files("cluster/ls-msgpack cluster/ls-json cluster/ls-nameonly cluster/ls-nobody cluster/ls-nonrecurs"),
		files("cluster/ls-page1 cluster/ls-page2 cluster/ls-prefix cluster/ls-404"),
		files("cluster/copy-bck cluster/xact-status-running cluster/xact-snaps-running cluster/xact-snaps-running-only cluster/xact-running-all"),
		files("cluster/xact-status-done cluster/xact-snaps-done cluster/xact-snaps-done-active"),
		// This copy was stopped on its way.
		do(hold), files("cluster/copy-bck2 cluster/xact-abort"), do(release), do(await("BdDgnfR3W")),
		files("cluster/xact-status-aborted cluster/xact-snaps-aborted cluster/xact-abort-404"),
		files("cluster/xact-status-404 cluster/xact-snaps-404 cluster/xact-status-badkind cluster/xact-status-noselector cluster/xact-start-lru"),
		files("cluster/del-listrange cluster/obj-delete cluster/obj-delete-404 cluster/obj-copy cluster/obj-rename"),
		files("cluster/etl-nok8s-list cluster/etl-nok8s-put"), do(deleteETLs),
		files("cluster/etl-nok8s-view cluster/etl-nok8s-start cluster/etl-nok8s-stop cluster/etl-nok8s-delete cluster/etl-nok8s-inline cluster/etl-nok8s-etlbck"),
		files("cluster/bucket-destroy cluster/bucket-destroy-404 cluster/bucket-405 cluster/object-405"),
		files("cluster/download-list cluster/sort-list cluster/bad-url cluster/root cluster/easyurl"),
		files("cli/job-wait cli/job-stop cli/wait cli/ls-limit cli/ls-summary cli/storage-summary cli/show-object"),
		files("cli/prefetch cli/show-config cli/ec cli/mv cli/cat cli/put-dir cli/put-cksum cli/get-check"),
	)},
	{"etl", etl, steps(
		do(bucket("src", "hello.txt", "dir/a.jpg", "dir/b.jpg")), do(bucket("dst")),
		files("etl/etl-list-empty etl-cli/etl-init-md5 etl/etl-list-1 etl-cli/etl-init-upper etl-cli/etl-init-pull etl-cli/etl-init-echo"),
		do(podAt("etl-md5-aaa-dgvt8081", "31001")), do(podAt("upper-etl-1-dgvt8081", "31003")), do(podAt("pull-etl-1-dgvt8081", "31005")),
		files("etl/etl-init-dup etl/etl-init-badname etl/etl-init-noruntime etl/etl-init-short etl/etl-init-garbage etl/etl-init-ws-nodirect etl/etl-init-curl etl/etl-init-noimage"),
		do(failedRun("etl-B6crsd6kk", "noimage-etl")),
		files("etl/etl-list-many etl-cli/etl-show etl-cli/etl-show1 etl/etl-view-upper etl/etl-view-spec etl/etl-view-404 etl/etl-view-badname"),
		files("etl-cli/etl-logs etl/etl-logs etl/etl-health etl/etl-health-404 etl/etl-metrics etl/etl-bad-subpath"),
		files("etl-cli/etl-object-md5 etl-cli/etl-object-upper etl-cli/etl-object-args etl-cli/etl-object-pull etl-cli/etl-object-pipeline etl-cli/etl-object-fail"),
		files("etl/etl-inline-curl etl/etl-inline-latest etl/etl-inline-pull-latest etl/etl-inline-args etl/etl-inline-404etl"),
		files("etl/etl-inline-404obj etl/etl-inline-pipeline etl/etl-inline-range etl/etl-head-inline"),
		files("etl-cli/etl-bucket-direct etl-cli/etl-bucket-ext etl-cli/etl-bucket-dry etl-cli/etl-bucket-pull etl-cli/etl-bucket-pipe"),
		files("etl-cli/etl-bucket-fail etl-cli/etl-bucket-list etl-cli/etl-bucket-tmpl etl-cli/job-show-etlbck etl-cli/job-show-etl"),
		files("etl/etlbck-curl etl/etlbck-curl-pipeline etl/etl-listrange-curl etl/etlbck-404 etl/etlbck-noid etl/etlbck-nosrc"),
		files("etl/etlbck-noto etl/etlbck-seed-form etl/etlbck-self etl/etlbck-dryrun-curl"),
		files("etl/etl-list-after etl/xact-etlbck-snaps etl/xact-etlinline-snaps etl/xact-etllr-snaps etl/xact-running etl/xact-status-all etl/xact-status-inline"),
		files("etl/put-etl-object-copy etl-cli/etl-show-errors etl/etl-view-errors etl-cli/etl-start-running etl/etl-start-running etl-cli/ls-dst etl-cli/ls-dst2"),
		files("etl-cli/etl-stop etl/etl-stop-again etl/etl-delete-seedstop etl/etl-list-stopped etl/etl-view-stopped etl/etl-inline-stopped"),
		files("etl-cli/etl-start etl/etl-delete-running etl/etl-delete-404 etl/etl-start-404 etl/etl-stop-404 etl/etl-post-badaction etl/etl-patch-405"),
		files("etl-cli/etl-stop-fail etl-cli/etl-rm etl-cli/etl-rm-running etl/etl-list-end"),
		files("aisloader/aisl-etl-put"), do(listed("lll", "aisloader/aisl-etl-spec")), do(read("aisloader/aisl-etl-spec")), do(read("aisloader/aisl-etl-spec-pull")),
		files("aisloader/aisl-etl-spec aisloader/aisl-etl-spec-pull"),

		files("etl/etl3-init-echo2 etl/etl3-view etl/etl3-init-nocomm etl/etl3-stop etl/etl3-list-aborted etl/etl3-view-aborted etl/etl3-inline-aborted"),
		files("etl/etl3-logs-aborted etl/etl3-etlbck-aborted etl/etl3-start etl/etl3-list-restarted etl/etl3-delete"),
		files("etl/etl3-put-specsame etl/etl3-name-31 etl/etl3-name-33 etl/etl3-name-dash etl/etl3-name-digit etl/etl3-del-badname etl/etl3-get-extra"),
		do(transformed("Izbzsdxgk", "upper-etl-1", "src", "dst")),
		files("etl-cli/etl3-stop-all etl-cli/etl3-show etl-cli/etl3-start etl-cli/etl3-rm-all etl-cli/job-wait-etl etl-cli/show-cluster-k8s"),
	)},
	// What that cluster refused or ignored, and we take: in a session of its own,
	// for it leaves more behind than there was.
	{"etl-accepted", etl, steps(
		do(bucket("src", "hello.txt", "dir/a.jpg", "dir/b.jpg")), do(started("upper-etl-1", "local/upper")), do(started("echo-etl-1", "local/echo")),
		files("etl/etl-init-badcomm etl/etl-init-code etl/etl-inline-uuid etl/etlbck-extstr etl/etl3-init-echo"),
		files("etl/etl3-put-hrev"), do(deleteETL("etl-old-1")), files("etl/etl3-put-id-old"),
	)},
	{"etl-later", later, steps(
		do(bucket("src", "o1.txt", "o2.txt", "o3.txt", "o4.txt", "o5.txt", "o6.txt")), do(bucket("dst")),
		do(started("upper-etl-1", "local/upper")), do(started("echo-etl-1", "local/echo")), do(started("fail-etl-1", "local/fail")),
		files("etl/etl4-inline-badpipeline etl/etl4-inline-emptypipeline etl/etl4-inline-badname etl/etl4-put-transform-404 etl/etl4-put-transform-nobck"),
		files("etl/etl4-put-transform-pipeline etl/etl4-get-pipe etl/etl4-skipvc1 etl/etl4-skipvc2 etl/etl4-coer etl-cli/inspect etl-cli/inspect-list"),
		files("etl/etl4-coer-status etl-cli/object-cp etl-cli/object-cp-args"),
	)},
}

// bucket makes a bucket with objects of the text that all recordings used.
func bucket(name string, objects ...string) func(*rig) {
	return func(r *rig) {
		require.NoError(r, r.client.CreateBucket(r.Context(), api.AIS(name)))
		for _, o := range objects {
			r.put(name, o, []byte("hello world"))
		}
	}
}

func (r *rig) put(bucket, object string, data []byte) {
	require.NoError(r, r.client.Put(r.Context(), api.AIS(bucket), object, bytes.NewReader(data), int64(len(data))))
}

func destroy(name string) func(*rig) {
	return func(r *rig) { require.NoError(r, r.client.DestroyBucket(r.Context(), api.AIS(name))) }
}

// listed makes the objects that a file's listing has, as far as it was
// recorded, in their sizes.
func listed(bucket, file string) func(*rig) {
	return func(r *rig) {
		for _, e := range r.all[file+".json"].Exchanges {
			var page struct {
				Entries []struct {
					N string
					S int
				}
			}
			if e.Response.Encoding != encodingMsgpack {
				continue
			}
			require.NoError(r, json.Unmarshal(e.Response.Body, &page))
			for _, o := range page.Entries {
				r.put(bucket, o.N, fill(nil, o.S))
			}
		}
	}
}

// read makes the objects that a file's requests get.
func read(file string) func(*rig) {
	return func(r *rig) {
		for _, e := range r.all[file+".json"].Exchanges {
			rest, ok := strings.CutPrefix(e.Path, "/v1/objects/")
			if !ok || e.Method != http.MethodGet || e.AnsweredBy == "proxy" {
				continue
			}
			bucket, object, _ := strings.Cut(rest, "/")
			data := []byte("hello world")
			if e.Response.Encoding == encodingBase64 {
				data = e.Response.content(r.T)
			}
			r.put(bucket, object, data)
		}
	}
}

func hold(r *rig) { r.gate.hold(); r.held = true }

func release(r *rig) { r.gate.release(); r.held = false }

func await(job string) func(*rig) {
	return func(r *rig) { r.awaitJob(job) }
}

func deleteETL(name string) func(*rig) {
	return func(r *rig) {
		if err := r.client.DeleteETL(r.Context(), name); err != nil {
			require.ErrorIs(r, err, api.ErrNotFound)
		}
	}
}

func deleteETLs(r *rig) {
	list, err := r.client.ETLs(r.Context())
	require.NoError(r, err)
	for _, e := range list {
		require.NoError(r, r.client.DeleteETL(r.Context(), e.ID))
	}
}

// started makes an ETL of a runtime spec.
func started(name, image string) func(*rig) {
	return func(r *rig) {
		_, err := r.client.InitETL(r.Context(), &api.ETLSpec{Name: name, Communication: "hpush://", Runtime: json.RawMessage(`{"image":"` + image + `"}`)})
		require.NoError(r, err)
	}
}

// failedRun finds the run of an ETL that did not start, whose id no reply told.
func failedRun(theirs, name string) func(*rig) {
	return func(r *rig) {
		var snaps map[string][]api.Snap
		e := &exchange{AnsweredBy: "proxy", Method: http.MethodGet, Path: "/v1/cluster", Query: "what=qryxstats",
			Request: side{Body: json.RawMessage(`{"kind":"etl-inline"}`), Encoding: encodingJSON}}
		require.NoError(r, json.Unmarshal(r.send(e).body, &snaps))
		for _, list := range snaps {
			for _, s := range list {
				if strings.Contains(s.CtlMsg, name) {
					require.True(r, r.names.bind(theirs, s.ID))
				}
			}
		}
	}
}

// podAt takes the address of a recorded pod for that of ours.
func podAt(name, port string) func(*rig) {
	return func(r *rig) {
		p := r.pods.get(name)
		require.NotNil(r, p, "no pod %s", name)
		r.names.add(etl.host+":"+port, strings.TrimPrefix(p.url, "http://"))
	}
}

// transformed runs a job that is known by its recorded id later on.
func transformed(job, etl, from, to string) func(*rig) {
	return func(r *rig) {
		id, err := r.client.TransformBucket(r.Context(), api.AIS(from), api.AIS(to), api.TransformMsg{ID: etl})
		require.NoError(r, err)
		require.True(r, r.names.bind(job, id))
		r.awaitJob(job)
	}
}
