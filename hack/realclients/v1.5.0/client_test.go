// Package realclients drives a reference cluster, at AIS_ENDPOINT, by AIStore's
// own Go client of today.
package realclients

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/aistore/api"
	"github.com/NVIDIA/aistore/api/apc"
	"github.com/NVIDIA/aistore/cmn"
	"github.com/NVIDIA/aistore/cmn/cos"
	"github.com/NVIDIA/aistore/ext/etl"
	"github.com/NVIDIA/aistore/xact"
	"github.com/stretchr/testify/require"
)

func params(t *testing.T) api.BaseParams {
	url := os.Getenv("AIS_ENDPOINT")
	require.NotEmpty(t, url, "AIS_ENDPOINT must name a cluster: see run.sh")
	client := &http.Client{Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	return api.BaseParams{Client: client, URL: url, UA: "realclients"}
}

// bucket makes a bucket with objects whose content is their name.
func bucket(t *testing.T, bp api.BaseParams, objects ...string) cmn.Bck {
	b := cmn.Bck{Name: fmt.Sprintf("go-%x", rand.Uint64()), Provider: apc.AIS}
	require.NoError(t, api.CreateBucket(bp, b, nil))
	t.Cleanup(func() { require.NoError(t, api.DestroyBucket(bp, b)) })
	for _, name := range objects {
		put(t, bp, b, name, []byte(name))
	}
	return b
}

func put(t *testing.T, bp api.BaseParams, b cmn.Bck, name string, data []byte) {
	_, err := api.PutObject(&api.PutArgs{BaseParams: bp, Bck: b, ObjName: name, Reader: cos.NewByteReader(data), Size: uint64(len(data))})
	require.NoError(t, err)
}

func get(t *testing.T, bp api.BaseParams, b cmn.Bck, name string) string {
	var buf bytes.Buffer
	_, err := api.GetObject(bp, b, name, &api.GetArgs{Writer: &buf})
	require.NoError(t, err)
	return buf.String()
}

func names(t *testing.T, bp api.BaseParams, b cmn.Bck, msg *apc.LsoMsg) (list []string) {
	page, err := api.ListObjects(bp, b, msg, api.ListArgs{})
	require.NoError(t, err)
	for _, e := range page.Entries {
		list = append(list, e.Name)
	}
	return list
}

// status requires an error of the cluster with a status.
func status(t *testing.T, err error, want int) {
	t.Helper()
	var herr *cmn.ErrHTTP
	require.True(t, errors.As(err, &herr), "%v", err)
	require.Equal(t, want, herr.Status, "%v", err)
}

func TestCluster(t *testing.T) {
	bp := params(t)
	smap, err := api.GetClusterMap(bp)
	require.NoError(t, err)
	require.Equal(t, 3, smap.CountActiveTs())
	require.NoError(t, api.Health(bp))
	require.NoError(t, api.Health(bp, true))
}

func TestBuckets(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp)
	status(t, api.CreateBucket(bp, b, nil), http.StatusConflict)
	list, err := api.ListBuckets(bp, cmn.QueryBcks{Provider: apc.AIS}, apc.FltPresent)
	require.NoError(t, err)
	require.Contains(t, list, b)
	props, err := api.HeadBucket(bp, b, true)
	require.NoError(t, err)
	require.Equal(t, cos.ChecksumOneXxh, props.Cksum.Type[:6])
	require.True(t, props.Versioning.Enabled)
	none := cmn.Bck{Name: "no-such-bucket", Provider: apc.AIS}
	_, err = api.HeadBucket(bp, none, true)
	status(t, err, http.StatusNotFound)
	status(t, api.DestroyBucket(bp, none), http.StatusNotFound)
}

func TestObjects(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp, "a", "d/b c", "d/e%2F", "ü")
	for _, name := range []string{"a", "d/b c", "d/e%2F", "ü"} {
		require.Equal(t, name, get(t, bp, b, name))
		var buf bytes.Buffer
		_, err := api.GetObjectWithValidation(bp, b, name, &api.GetArgs{Writer: &buf})
		require.NoError(t, err)
		op, err := api.HeadObject(bp, b, name, api.HeadArgs{})
		require.NoError(t, err)
		require.EqualValues(t, len(name), op.Size)
		require.True(t, op.Present)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	put(t, bp, b, "big", big)
	require.Equal(t, string(big), get(t, bp, b, "big"))
	_, err := api.GetObject(bp, b, "nosuch", nil)
	status(t, err, http.StatusNotFound)
	require.NoError(t, api.RenameObject(bp, b, "a", "renamed"))
	require.NoError(t, api.CopyObject(bp, &api.CopyArgs{FromBck: b, FromObjName: "renamed", ToBck: b, ToObjName: "copied"}))
	require.Equal(t, "a", get(t, bp, b, "copied"))
	require.NoError(t, api.DeleteObject(bp, b, "copied"))
	status(t, api.DeleteObject(bp, b, "copied"), http.StatusNotFound)
}

func TestListing(t *testing.T) {
	bp := params(t)
	var objects []string
	for i := range 25 {
		objects = append(objects, fmt.Sprintf("d%d/o-%02d", i%3, i))
	}
	b := bucket(t, bp, objects...)
	require.ElementsMatch(t, objects, names(t, bp, b, &apc.LsoMsg{}))
	require.Len(t, names(t, bp, b, &apc.LsoMsg{Prefix: "d1/"}), 8)
	msg := &apc.LsoMsg{PageSize: 10}
	var paged []string
	for pages := 1; ; pages++ {
		page, err := api.ListObjectsPage(bp, b, msg, api.ListArgs{})
		require.NoError(t, err)
		for _, e := range page.Entries {
			paged = append(paged, e.Name)
		}
		if page.ContinuationToken == "" {
			require.Equal(t, 3, pages)
			break
		}
		msg.UUID, msg.ContinuationToken = page.UUID, page.ContinuationToken
	}
	require.ElementsMatch(t, objects, paged)
	msg = &apc.LsoMsg{}
	msg.AddProps(apc.GetPropsDefaultAIS...)
	page, err := api.ListObjects(bp, b, msg, api.ListArgs{})
	require.NoError(t, err)
	for _, e := range page.Entries {
		require.EqualValues(t, len(e.Name), e.Size)
		require.NotEmpty(t, e.Checksum)
		require.NotEmpty(t, e.Atime)
	}
}

// pod is a Pod spec of a sample transformer.
func pod(name string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
    - name: server
      image: etlbench/%[1]s
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`, name)
}

func sum(s string) string {
	m := md5.Sum([]byte(s))
	return hex.EncodeToString(m[:])
}

func TestETL(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp, "a", "d/b.jpg", "d/c.jpg")
	for _, commType := range []string{etl.Hpush, etl.Hpull, etl.WebSocket} {
		for form, msg := range map[string]etl.InitMsg{
			"runtime": &etl.ETLSpecMsg{InitMsgBase: base(commType), Runtime: etl.RuntimeSpec{Image: "etlbench/md5"}},
			"pod":     &etl.InitSpecMsg{InitMsgBase: base(commType), Spec: pod("md5")},
		} {
			t.Run(commType+form, func(t *testing.T) { useETL(t, bp, b, msg) })
		}
	}
}

func base(commType string) etl.InitMsgBase {
	return etl.InitMsgBase{EtlName: "etl-go-client", CommTypeX: commType, SupportDirectPut: true,
		InitTimeout: cos.Duration(time.Minute), ObjTimeout: cos.Duration(10 * time.Second)}
}

func useETL(t *testing.T, bp api.BaseParams, b cmn.Bck, msg etl.InitMsg) {
	const name = "etl-go-client"
	xid, err := api.ETLInit(bp, msg)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(xid, "etl-"), xid)
	t.Cleanup(func() { require.NoError(t, api.ETLDelete(bp, name)) })
	_, err = api.ETLInit(bp, msg)
	status(t, err, http.StatusConflict)

	list, err := api.ETLList(bp)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, name, list[0].Name)
	require.Equal(t, "Running", list[0].Stage)
	require.Equal(t, xid, list[0].XactID)
	d, err := api.ETLGetDetail(bp, name, "")
	require.NoError(t, err)
	require.Equal(t, name, d.InitMsg.Name())
	require.Equal(t, msg.CommType(), d.InitMsg.CommType())
	logs, err := api.ETLLogs(bp, name)
	require.NoError(t, err)
	require.Len(t, logs, 3)
	health, err := api.ETLHealth(bp, name)
	require.NoError(t, err)
	require.Equal(t, "Running", health[0].Status)
	metrics, err := api.ETLMetrics(bp, name)
	require.NoError(t, err)
	require.Len(t, metrics, 3)
	require.Positive(t, metrics[0].Mem)

	var buf bytes.Buffer
	_, err = api.ETLObject(bp, &api.ETL{ETLName: name, TransformArgs: "x"}, b, "a", &buf)
	require.NoError(t, err)
	require.Equal(t, sum("a"), buf.String())
	_, err = api.ETLObject(bp, &api.ETL{ETLName: name}, b, "nosuch", &buf)
	status(t, err, http.StatusNotFound)
	_, err = api.ETLObject(bp, &api.ETL{ETLName: "nosuch-etl"}, b, "a", &buf)
	status(t, err, http.StatusNotFound)

	dst := bucket(t, bp)
	id, err := api.ETLBucket(bp, b, dst, &apc.TCBMsg{Transform: apc.Transform{Name: name}, Ext: cos.StrKVs{"jpg": "txt"},
		CopyBckMsg: apc.CopyBckMsg{Prepend: "x/"}})
	require.NoError(t, err)
	wait(t, bp, id, apc.ActETLBck)
	require.Equal(t, []string{"x/a", "x/d/b.txt", "x/d/c.txt"}, names(t, bp, dst, &apc.LsoMsg{}))
	require.Equal(t, sum("d/b.jpg"), get(t, bp, dst, "x/d/b.txt"))

	tco := &cmn.TCOMsg{ToBck: dst}
	tco.Transform.Name, tco.Template = name, "d/"
	id, err = api.ETLMultiObj(bp, b, tco)
	require.NoError(t, err)
	wait(t, bp, id, apc.ActETLObjects)
	require.Equal(t, sum("d/c.jpg"), get(t, bp, dst, "d/c.jpg"))
	require.NoError(t, api.TransformObject(bp, &api.TransformArgs{ETL: api.ETL{ETLName: name},
		CopyArgs: api.CopyArgs{FromBck: b, FromObjName: "a", ToBck: dst, ToObjName: "single"}}))
	require.Equal(t, sum("a"), get(t, bp, dst, "single"))

	require.NoError(t, api.ETLStop(bp, name))
	_, err = api.ETLBucket(bp, b, dst, &apc.TCBMsg{Transform: apc.Transform{Name: name}})
	status(t, err, http.StatusNotFound)
	require.NoError(t, api.ETLStart(bp, name))
	status(t, api.ETLStart(bp, name), http.StatusBadRequest)
	buf.Reset()
	_, err = api.ETLObject(bp, &api.ETL{ETLName: name}, b, "a", &buf)
	require.NoError(t, err)
	require.Equal(t, sum("a"), buf.String())
	status(t, api.ETLStop(bp, "nosuch-etl"), http.StatusNotFound)
}

func wait(t *testing.T, bp api.BaseParams, id, kind string) {
	require.True(t, xact.IsValidUUID(id), id)
	require.NoError(t, api.WaitForXaction(bp, &xact.ArgsMsg{ID: id, Kind: kind, Timeout: time.Minute}))
	snaps, err := api.QueryXactionSnaps(bp, &xact.ArgsMsg{ID: id})
	require.NoError(t, err)
	aborted, running, notstarted := snaps.AggregateState(id)
	require.False(t, aborted || running || notstarted)
	objs, sent, _ := snaps.ObjCounts(id)
	require.Positive(t, objs+sent) // what pods send by themselves is not processed here
}

func TestJobs(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp, "o-1", "o-2", "p-1")
	dst := bucket(t, bp)
	id, err := api.CopyBucket(bp, b, dst, &apc.TCBMsg{})
	require.NoError(t, err)
	wait(t, bp, id, apc.ActCopyBck)
	require.Equal(t, []string{"o-1", "o-2", "p-1"}, names(t, bp, dst, &apc.LsoMsg{}))
	msg := &cmn.TCOMsg{ToBck: dst}
	msg.ObjNames, msg.Prepend = []string{"o-1", "p-1"}, "copy-"
	id, err = api.CopyMultiObj(bp, b, msg)
	require.NoError(t, err)
	wait(t, bp, id, apc.ActCopyObjects)
	require.Equal(t, []string{"copy-o-1", "copy-p-1"}, names(t, bp, dst, &apc.LsoMsg{Prefix: "copy-"}))
	id, err = api.DeleteMultiObj(bp, dst, &apc.EvdMsg{ListRange: apc.ListRange{Template: "o-{1..2}"}})
	require.NoError(t, err)
	wait(t, bp, id, apc.ActDeleteObjects)
	require.Equal(t, []string{"copy-o-1", "copy-p-1", "p-1"}, names(t, bp, dst, &apc.LsoMsg{}))
	require.NoError(t, api.AbortXaction(bp, &xact.ArgsMsg{ID: id}))
	_, err = api.GetAllRunningXactions(bp, "")
	require.NoError(t, err)
	_, err = api.GetOneXactionStatus(bp, &xact.ArgsMsg{ID: "nosuch1234"})
	status(t, err, http.StatusNotFound)
}
