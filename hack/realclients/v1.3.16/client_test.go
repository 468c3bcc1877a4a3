// Package realclients drives a reference cluster, at AIS_ENDPOINT, by AIStore's
// own Go client of 2023, which still knew init code, hrev:// and io://.
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
	_, err := api.PutObject(api.PutArgs{BaseParams: bp, Bck: b, ObjName: name, Reader: cos.NewByteHandle(data), Size: uint64(len(data))})
	require.NoError(t, err)
}

func get(t *testing.T, bp api.BaseParams, b cmn.Bck, name string) string {
	var buf bytes.Buffer
	_, err := api.GetObject(bp, b, name, &api.GetArgs{Writer: &buf})
	require.NoError(t, err)
	return buf.String()
}

func names(t *testing.T, bp api.BaseParams, b cmn.Bck, msg *apc.LsoMsg) (list []string) {
	page, err := api.ListObjects(bp, b, msg, 0)
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

func TestBucketsAndObjects(t *testing.T) {
	bp := params(t)
	smap, err := api.GetClusterMap(bp)
	require.NoError(t, err)
	require.Equal(t, 3, smap.CountActiveTs())
	b := bucket(t, bp, "a", "d/b c")
	status(t, api.CreateBucket(bp, b, nil), http.StatusConflict)
	list, err := api.ListBuckets(bp, cmn.QueryBcks{Provider: apc.AIS}, apc.FltPresent)
	require.NoError(t, err)
	require.Contains(t, list, b)
	props, err := api.HeadBucket(bp, b, true)
	require.NoError(t, err)
	require.True(t, props.Versioning.Enabled)
	require.Equal(t, []string{"a", "d/b c"}, names(t, bp, b, &apc.LsoMsg{}))
	require.Equal(t, "d/b c", get(t, bp, b, "d/b c"))
	// HEAD of an object is left out: this client panics over a checksum of the
	// type xxhash2, which clusters of today send.
	require.NoError(t, api.RenameObject(bp, b, "a", "renamed"))
	require.NoError(t, api.DeleteObject(bp, b, "renamed"))
	status(t, api.DeleteObject(bp, b, "renamed"), http.StatusNotFound)
	_, err = api.GetObject(bp, b, "renamed", nil)
	status(t, err, http.StatusNotFound)
}

// pod is a Pod spec of a sample transformer; io:// runs its command once an
// object.
func pod(commType string) []byte {
	command := ""
	if commType == etl.HpushStdin {
		command = "\n      command: [sh, -c, \"md5sum | cut -c -32 | tr -d '\\\\n'\"]"
	}
	return fmt.Appendf(nil, `apiVersion: v1
kind: Pod
metadata: {name: transformer-md5}
spec:
  containers:
    - name: server
      image: etlbench/md5%s
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`, command)
}

const code = `
import hashlib

def transform(data):
    return hashlib.md5(data).hexdigest().encode()
`

const ioCode = `
import hashlib, sys

def transform():
    sys.stdout.write(hashlib.md5(sys.stdin.buffer.read()).hexdigest())

transform()
`

func sum(s string) string {
	m := md5.Sum([]byte(s))
	return hex.EncodeToString(m[:])
}

const name = "etl-go-client"

func base(commType string) etl.InitMsgBase {
	return etl.InitMsgBase{IDX: name, CommTypeX: commType, Timeout: cos.Duration(time.Minute)}
}

func TestETL(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp, "a", "d/b.jpg", "d/c.jpg")
	for _, commType := range []string{etl.Hpush, etl.Hpull, etl.Hrev, etl.HpushStdin} {
		source := code
		if commType == etl.HpushStdin {
			source = ioCode
		}
		byCode := &etl.InitCodeMsg{InitMsgBase: base(commType), Code: []byte(source), Runtime: "python3"}
		byCode.Funcs.Transform = "transform"
		for form, msg := range map[string]etl.InitMsg{
			"pod":  &etl.InitSpecMsg{InitMsgBase: base(commType), Spec: pod(commType)},
			"code": byCode,
		} {
			t.Run(commType+form, func(t *testing.T) { useETL(t, bp, b, msg) })
		}
	}
}

func useETL(t *testing.T, bp api.BaseParams, b cmn.Bck, msg etl.InitMsg) {
	xid, err := api.ETLInit(bp, msg)
	require.NoError(t, err)
	require.Equal(t, name, xid, "the name, in this dialect")
	t.Cleanup(func() { require.NoError(t, api.ETLDelete(bp, name)) })
	_, err = api.ETLInit(bp, msg)
	status(t, err, http.StatusConflict)
	list, err := api.ETLList(bp)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, name, list[0].Name)
	shown, err := api.ETLGetInitMsg(bp, name)
	require.NoError(t, err)
	require.Equal(t, msg.Type(), shown.Type())
	require.Equal(t, msg.CommType(), shown.CommType())
	logs, err := api.ETLLogs(bp, name)
	require.NoError(t, err)
	require.Len(t, logs, 3)
	// This client takes the reply of init for the id of a job.
	st, err := api.GetOneXactionStatus(bp, xact.ArgsMsg{ID: xid, Kind: apc.ActETLInline})
	require.NoError(t, err)
	require.False(t, st.Finished())

	var buf bytes.Buffer
	require.NoError(t, api.ETLObject(bp, name, b, "a", &buf))
	require.Equal(t, sum("a"), buf.String())
	status(t, api.ETLObject(bp, name, b, "nosuch", &buf), http.StatusNotFound)
	status(t, api.ETLObject(bp, "nosuch-etl", b, "a", &buf), http.StatusNotFound)

	dst := bucket(t, bp)
	id, err := api.ETLBucket(bp, b, dst, &apc.TCBMsg{Transform: apc.Transform{Name: name}, Ext: cos.StrKVs{"jpg": "txt"},
		CopyBckMsg: apc.CopyBckMsg{Prepend: "x/"}})
	require.NoError(t, err)
	_, err = api.WaitForXactionIC(bp, xact.ArgsMsg{ID: id, Kind: apc.ActETLBck, Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, []string{"x/a", "x/d/b.txt", "x/d/c.txt"}, names(t, bp, dst, &apc.LsoMsg{}))
	require.Equal(t, sum("d/b.jpg"), get(t, bp, dst, "x/d/b.txt"))

	many := cmn.TCObjsMsg{ToBck: dst}
	many.Transform.Name, many.Template = name, "d/"
	id, err = api.ETLMultiObj(bp, b, many)
	require.NoError(t, err)
	require.NoError(t, api.WaitForXactionIdle(bp, xact.ArgsMsg{ID: id, Kind: apc.ActETLObjects, Timeout: time.Minute}))
	require.Equal(t, sum("d/c.jpg"), get(t, bp, dst, "d/c.jpg"))

	require.NoError(t, api.ETLStop(bp, name))
	require.Error(t, api.ETLObject(bp, name, b, "a", &buf))
	require.NoError(t, api.ETLStart(bp, name))
	buf.Reset()
	require.NoError(t, api.ETLObject(bp, name, b, "a", &buf))
	require.Equal(t, sum("a"), buf.String())
	status(t, api.ETLStop(bp, "nosuch-etl"), http.StatusNotFound)
}

func TestJobs(t *testing.T) {
	bp := params(t)
	b := bucket(t, bp, "o-1", "o-2", "p-1")
	dst := bucket(t, bp)
	id, err := api.CopyBucket(bp, b, dst, &apc.CopyBckMsg{})
	require.NoError(t, err)
	_, err = api.WaitForXactionIC(bp, xact.ArgsMsg{ID: id, Kind: apc.ActCopyBck, Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, []string{"o-1", "o-2", "p-1"}, names(t, bp, dst, &apc.LsoMsg{}))
	id, err = api.DeleteRange(bp, dst, "o-{1..2}")
	require.NoError(t, err)
	_, err = api.WaitForXactionIC(bp, xact.ArgsMsg{ID: id, Kind: apc.ActDeleteObjects, Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, []string{"p-1"}, names(t, bp, dst, &apc.LsoMsg{}))
}
