package conformance

// deviation is where we answer otherwise than was recorded, because a line of
// the contract says so.
type deviation struct {
	at   []string          // file#exchange
	want map[string]string // what we answer, by field: JSON, or <absent>
	line string            // of the contract
}

// Lines of the contract, by its document and section.
const (
	lineNok8s   = `etl-api.md 1.6: a cluster without Kubernetes is a case that does not apply; here ETLs run as processes`
	lineJson    = `cluster-api.md 3: the client decodes by the reply's Content-Type, so JSON is fine`
	lineAtonce  = `cluster-api.md 6: a real job stays running ~13 s after its work; a reference server may finish at once`
	lineNolist  = `cluster-api.md 5, LIST: the proxy answers, its uuid is an id fixed for the listing; 6 shows jobs of other kinds only`
	lineBadbody = `cluster-api.md 4: an empty body and a garbage body are 400; no text is given`
	lineForms   = `etl-api.md 1.4: the rule for a server that speaks both dialects; a form is chosen by its keys, and only that one's reason is told`
	lineComm    = `etl-api.md 1.4: accept communication without the :// suffix`
	lineTypes   = `etl-api.md 1.3: hrev:// and the key id are of the old dialect, whose reply (1.5) is the name`
	lineUnion   = `etl-api.md 3: reply with the init message's own fields at top level, too`
	lineStored  = `etl-api.md 3: for a stopped ETL, prefer 200 with the stored message`
	lineHealth  = `etl-api.md 4: serve health with cpu and mem`
	lineBytes   = `README.md 12: bytes by default; etl_fqn only when init says argument: fqn`
	lineUuid    = `etl-api.md 5: without etl_name, uuid is taken for an ETL's name`
	lineCount   = `etl-api.md 2: summing over targets is a fair improvement`
	lineSeed    = `etl-api.md 7.1: ext as text applies to every object that has an extension; the seed-era form is served`
	lineStop    = `etl-api.md 4a: DELETE of .../stop only stops, and the ETL is still there`
	lineAlias   = `README.md 1: xaction ids are aliases of names everywhere`
	lineNames   = `etl-api.md 1.7: a new name has a letter or a digit at both ends`
	lineLookup  = `etl-api.md 1.7: lookups accept [A-Za-z0-9_-]{6,32}; a well-formed unknown name is 404`
	lineFailed  = `cluster-api.md 6: a failed offline transform is aborted with err "ETL error: <container text>"`
	lineKind    = `cluster-api.md 6: status is one object; which one of several jobs of a kind is not said`
	lineType    = `transformer-protocol.md 3.1: the seed era's Content-Type: application/octet-stream; containers of both eras take it`
	lineEnv     = `README.md 11: inject both spellings`
	lineFqn     = `transformer-protocol.md 1: ARG_TYPE from init argument; README.md 12: the pod can read the data folder, and is told it`
	lineNoinit  = `etl-api.md 1.2: a pod that fails (exit, bad image, unschedulable) ends the wait at once; 0.2: it is Aborted`
)

// deviations are all there may be: each must be found as it stands here.
var deviations = []deviation{
	{[]string{`cli/etl-ls.json#1`, `cli/etl-init-spec.json#1`, `cli/etl-init-spec2.json#1`, `cluster/etl-nok8s-list.json#1`}, map[string]string{
		`body`:                          `[]`,
		`header.Content-Type`:           `"application/json; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineNok8s},
	{[]string{`cli/etl-init-spec.json#2`, `cli/etl-init-spec2.json#2`, `aisloader/aisloader-etl-spec.json#3`}, map[string]string{
		`body`:                          `"<id>"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineNok8s},
	{[]string{`cli/etl-show.json#1`, `cli/etl-details.json#2`, `cli/etl-start.json#1`, `cli/etl-stop.json#1`, `cli/etl-rm.json#1`}, map[string]string{
		`body.message`: `"<node>: etl job etl-md5-aaa does not exist"`,
		`body.status`:  `404`,
		`body.tcode`:   `"ErrNotFound"`,
		`status`:       `404`,
	}, lineNok8s},
	{[]string{`cli/etl-logs.json#1`}, map[string]string{
		`body.message`: `"<node>: etl-md5-aaa does not exist"`,
		`body.status`:  `404`,
		`body.tcode`:   `"ErrNotFound"`,
		`status`:       `404`,
	}, lineNok8s},
	{[]string{`cli/etl-bucket.json#4`}, map[string]string{
		`body.message`: `"ETL etl-md5-aaa doesn't exist"`,
	}, lineNok8s},
	{[]string{`cluster/etl-nok8s-put.json#1`}, map[string]string{
		`body.message`: `"[<node>,etl=\"abcdef-etl\",pod=\"abcdef-etl-hjpt8082\"] container: abcdef-etl, state: Waiting, reason: ErrImagePull, message: failed to pull image x/y, exitCode: 0"`,
		`body.tcode`:   `"ErrETL"`,
	}, lineNok8s},
	{[]string{`cluster/etl-nok8s-view.json#1`, `cluster/etl-nok8s-start.json#1`, `cluster/etl-nok8s-stop.json#1`, `cluster/etl-nok8s-delete.json#1`}, map[string]string{
		`body.message`: `"<node>: etl job abcdef-etl does not exist"`,
		`body.status`:  `404`,
		`body.tcode`:   `"ErrNotFound"`,
		`status`:       `404`,
	}, lineNok8s},
	{[]string{`cluster/etl-nok8s-etlbck.json#1`}, map[string]string{
		`body.message`: `"ETL abcdef-etl doesn't exist"`,
	}, lineNok8s},
	{[]string{`cli/show-cluster.json#2`, `cli/show-cluster.json#3`, `cli/show-cluster.json#4`, `cluster/reverse-node-status-msgpack.json#1`, `etl-cli/show-cluster-k8s.json#2`, `etl-cli/show-cluster-k8s.json#3`, `etl-cli/show-cluster-k8s.json#4`}, map[string]string{
		`header.Content-Type`: `"application/json; charset=utf-8"`,
	}, lineJson},
	{[]string{`cli/cp-wait.json#5`, `cluster/xact-status-running.json#1`, `etl-cli/etl-bucket-direct.json#5`, `etl-cli/etl-bucket-pull.json#5`, `etl-cli/etl-bucket-pipe.json#5`, `etl-cli/etl-bucket-fail.json#5`, `etl-cli/inspect.json#2`}, map[string]string{
		`body.end_time`: `"<time>"`,
	}, lineAtonce},
	{[]string{`cli/cp-tmpl.json#5`}, map[string]string{
		`body.HJPt8082[tco-SatcAjfDel].is_idle`:         `true`,
		`body.HJPt8082[tco-SatcAjfDel].stats.loc-bytes`: `"4096"`,
		`body.HJPt8082[tco-SatcAjfDel].stats.loc-objs`:  `"1"`,
		`body.HJPt8082[tco-SatcAjfDel].stats.out-bytes`: `"4096"`,
		`body.HJPt8082[tco-SatcAjfDel].stats.out-objs`:  `"1"`,
		`body.QFBt8081[tco-SatcAjfDel].is_idle`:         `true`,
		`body.QFBt8081[tco-SatcAjfDel].stats.in-bytes`:  `"4096"`,
		`body.QFBt8081[tco-SatcAjfDel].stats.in-objs`:   `"1"`,
	}, lineAtonce},
	{[]string{`cli/cp-tmpl.json#6`}, map[string]string{
		`body.HJPt8082[tco-SatcAjfDel].is_idle`: `true`,
		`body.QFBt8081[tco-SatcAjfDel].is_idle`: `true`,
	}, lineAtonce},
	{[]string{`cli/job-cp.json#1`, `cli/show-job.json#1`, `cli/job-all.json#2`}, map[string]string{
		`body.HJPt8082[E8w0N0XZca].end-time`: `"<time>"`,
		`body.HJPt8082[E8w0N0XZca].is_idle`:  `true`,
		`body.QFBt8081[E8w0N0XZca].end-time`: `"<time>"`,
		`body.QFBt8081[E8w0N0XZca].is_idle`:  `true`,
	}, lineAtonce},
	{[]string{`cli/job.json#2`}, map[string]string{
		`body.HJPt8082[E8w0N0XZca]`: `<absent>`,
		`body.QFBt8081[E8w0N0XZca]`: `<absent>`,
	}, lineAtonce},
	{[]string{`cluster/xact-snaps-running.json#1`}, map[string]string{
		`body.HJPt8082[LhognfZcW].end-time`: `"<time>"`,
		`body.HJPt8082[LhognfZcW].is_idle`:  `true`,
		`body.QFBt8081[LhognfZcW].end-time`: `"<time>"`,
		`body.QFBt8081[LhognfZcW].is_idle`:  `true`,
	}, lineAtonce},
	{[]string{`cluster/xact-snaps-running-only.json#1`}, map[string]string{
		`body`:                          `{"caller":"","message":"\"x-[LhognfZcW]-only-running\" not found","method":"GET","node":"p[ASrp8080]","status":404,"url_path":"/v1/cluster"}`,
		`header.Content-Type`:           `"application/json"`,
		`header.X-Content-Type-Options`: `"nosniff"`,
		`status`:                        `404`,
	}, lineAtonce},
	{[]string{`cluster/xact-running-all.json#1`}, map[string]string{
		`body[copy-bck[LhognfZcW]]`: `<absent>`,
	}, lineAtonce},
	{[]string{`etl-cli/etl-bucket-ext.json#5`}, map[string]string{
		`body.Dgvt8081[tco-qpTNOiXrTu].is_idle`:         `true`,
		`body.Dgvt8081[tco-qpTNOiXrTu].stats.loc-bytes`: `"32"`,
		`body.Dgvt8081[tco-qpTNOiXrTu].stats.loc-objs`:  `"1"`,
		`body.Dgvt8081[tco-qpTNOiXrTu].stats.out-objs`:  `"1"`,
		`body.Epit8082[tco-qpTNOiXrTu].is_idle`:         `true`,
	}, lineAtonce},
	{[]string{`etl-cli/etl-bucket-ext.json#6`}, map[string]string{
		`body.Dgvt8081[tco-qpTNOiXrTu].is_idle`: `true`,
		`body.Epit8082[tco-qpTNOiXrTu].is_idle`: `true`,
	}, lineAtonce},
	{[]string{`etl-cli/etl-bucket-list.json#5`}, map[string]string{
		`body.Dgvt8081[tco-bNRaeTjTqW].is_idle`: `true`,
		`body.Epit8082[tco-bNRaeTjTqW].is_idle`: `true`,
	}, lineAtonce},
	{[]string{`etl-cli/inspect-list.json#2`}, map[string]string{
		`body.LuNt8081[tco-hadQXifwFb].is_idle`: `true`,
		`body.ekAt8082[tco-hadQXifwFb].is_idle`: `true`,
	}, lineAtonce},
	{[]string{`cli/job.json#8`}, map[string]string{
		`body.HJPt8082[awwN0fZca]`: `<absent>`,
		`body.HJPt8082[az4V0fR3a]`: `<absent>`,
		`body.QFBt8081[awwN0fZca]`: `<absent>`,
		`body.QFBt8081[az4V0fR3a]`: `<absent>`,
	}, lineNolist},
	{[]string{`cli/job-all.json#8`}, map[string]string{
		`body.HJPt8082[A1iQWwfR3a]`: `<absent>`,
		`body.HJPt8082[Y2mPa0XZcW]`: `<absent>`,
		`body.HJPt8082[Z_LQW0XR3W]`: `<absent>`,
		`body.HJPt8082[awwN0fZca]`:  `<absent>`,
		`body.HJPt8082[az4V0fR3a]`:  `<absent>`,
		`body.HJPt8082[lXOV0XZca]`:  `<absent>`,
		`body.HJPt8082[rv2N0XZcW]`:  `<absent>`,
		`body.QFBt8081[A1iQWwfR3a]`: `<absent>`,
		`body.QFBt8081[Y2mPa0XZcW]`: `<absent>`,
		`body.QFBt8081[Z_LQW0XR3W]`: `<absent>`,
		`body.QFBt8081[awwN0fZca]`:  `<absent>`,
		`body.QFBt8081[az4V0fR3a]`:  `<absent>`,
		`body.QFBt8081[lXOV0XZca]`:  `<absent>`,
		`body.QFBt8081[rv2N0XZcW]`:  `<absent>`,
	}, lineNolist},
	{[]string{`cluster/xact-running-all.json#1`}, map[string]string{
		`body[list[FdJgnXZca]]`: `<absent>`,
		`body[list[KMoynfZcW]]`: `<absent>`,
		`body[list[PMJyKXZ3a]]`: `<absent>`,
		`body[list[WCJyKfRca]]`: `<absent>`,
		`body[list[aTJgnfRca]]`: `<absent>`,
		`body[list[gyJgKfZ3W]]`: `<absent>`,
		`body[list[mqogKXR3W]]`: `<absent>`,
	}, lineNolist},
	{[]string{`etl/xact-running.json#1`}, map[string]string{
		`body[list[cwCOsdxkg]]`: `<absent>`,
	}, lineNolist},
	{[]string{`cluster/bucket-create-nobody.json#1`}, map[string]string{
		`body.message`: `"p[ASrp8080]: failed to unmarshal the request (POST), err: EOF"`,
	}, lineBadbody},
	{[]string{`cluster/bucket-garbage.json#1`}, map[string]string{
		`body.message`: `"p[ASrp8080]: failed to unmarshal the request (POST), err: invalid character 'g' looking for beginning of value"`,
	}, lineBadbody},
	{[]string{`etl/etl-init-garbage.json#1`}, map[string]string{
		`body.message`: `"p[xfi8um1c6btqv]: failed to unmarshal the request (PUT), err: invalid character 'o' in literal null (expecting 'u')"`,
	}, lineBadbody},
	{[]string{`etl/etl-init-badname.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: name: invalid etl name \"Bad_Name\": may only contain lower-case letters, numbers and '-'"`,
	}, lineForms},
	{[]string{`etl/etl-init-noruntime.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: needs one of code, spec (a Pod) and runtime (an image)"`,
	}, lineForms},
	{[]string{`etl/etl-init-short.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: name: invalid etl name \"abc\": must be 6 to 32 characters long"`,
	}, lineForms},
	{[]string{`etl/etl-init-ws-nodirect.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: communication: ws:// needs support_direct_put to be true"`,
	}, lineForms},
	{[]string{`etl/etl3-put-specsame.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: failed to parse pod spec: is a string, must be an object"`,
	}, lineForms},
	{[]string{`etl/etl3-name-33.json#1`}, map[string]string{
		`body.message`: `"invalid ETL: name: invalid etl name \"abcdefghijabcdefghijabcdefghij123\": must be 6 to 32 characters long"`,
	}, lineForms},
	{[]string{`etl/etl3-init-echo.json#1`}, map[string]string{
		`body`:                          `"<id>"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineComm},
	{[]string{`etl/etl-init-badcomm.json#1`, `etl/etl-init-code.json#1`, `etl/etl3-put-hrev.json#1`, `etl/etl3-put-id-old.json#1`}, map[string]string{
		`body`:                          `"<id>"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineTypes},
	{[]string{`etl-cli/etl-show1.json#1`, `etl/etl-view-upper.json#1`}, map[string]string{
		`body.communication`:      `"hpush://"`,
		`body.init_timeout`:       `"45s"`,
		`body.name`:               `"upper-etl-1"`,
		`body.obj_timeout`:        `"10s"`,
		`body.resources`:          `{}`,
		`body.runtime`:            `{"env":[{"name":"FOO","value":"bar"}],"image":"local/upper:latest"}`,
		`body.stage`:              `"Running"`,
		`body.support_direct_put`: `true`,
	}, lineUnion},
	{[]string{`etl/etl-view-spec.json#1`}, map[string]string{
		`body.communication`: `"hpush://"`,
		`body.init_timeout`:  `"5m"`,
		`body.name`:          `"etl-md5-aaa"`,
		`body.obj_timeout`:   `"10s"`,
		`body.spec`:          `"YXBpVmVyc2lvbjogdjEKa2luZDogUG9kCm1ldGFkYXRhOgogICAgbmFtZTogdHJhbnNmb3JtZXItbWQ1CiAgICBhbm5vdGF0aW9uczoKICAgICAgICBjb21tdW5pY2F0aW9uX3R5cGU6ICJocHVzaDovLyIKICAgICAgICB3YWl0X3RpbWVvdXQ6IDVtCnNwZWM6CiAgICBjb250YWluZXJzOgogICAgICAgIC0gbmFtZTogc2VydmVyCiAgICAgICAgICBpbWFnZTogYWlzdG9yYWdlL3RyYW5zZm9ybWVyX21kNTpsYXRlc3QKICAgICAgICAgIGltYWdlUHVsbFBvbGljeTogSWZOb3RQcmVzZW50CiAgICAgICAgICBwb3J0czoKICAgICAgICAgICAgLSBuYW1lOiBkZWZhdWx0CiAgICAgICAgICAgICAgY29udGFpbmVyUG9ydDogODAKICAgICAgICAgIGNvbW1hbmQ6IFsnL2NvZGUvc2VydmVyLnB5JywgJy0tbGlzdGVuJywgJzAuMC4wLjAnLCAnLS1wb3J0JywgJzgwJ10KICAgICAgICAgIHJlYWRpbmVzc1Byb2JlOgogICAgICAgICAgICBodHRwR2V0OgogICAgICAgICAgICAgICAgcGF0aDogL2hlYWx0aAogICAgICAgICAgICAgICAgcG9ydDogZGVmYXVsdAo="`,
		`body.stage`:         `"Running"`,
	}, lineUnion},
	{[]string{`etl-cli/etl-show-errors.json#1`, `etl/etl-view-errors.json#1`}, map[string]string{
		`body.communication`: `"hpush://"`,
		`body.init_timeout`:  `"45s"`,
		`body.name`:          `"fail-etl-1"`,
		`body.obj_timeout`:   `"10s"`,
		`body.resources`:     `{}`,
		`body.runtime`:       `{"image":"local/fail"}`,
		`body.stage`:         `"Running"`,
	}, lineUnion},
	{[]string{`etl/etl3-view.json#1`}, map[string]string{
		`body.communication`: `"hpush://"`,
		`body.env`:           `[{"name":"B","value":"2"}]`,
		`body.init_timeout`:  `"1m"`,
		`body.name`:          `"life-etl-1"`,
		`body.obj_timeout`:   `"20s"`,
		`body.resources`:     `{"limits":{"cpu":"1"}}`,
		`body.runtime`:       `{"env":[{"name":"A","value":"1"}],"image":"local/echo"}`,
		`body.stage`:         `"Running"`,
	}, lineUnion},
	{[]string{`etl/etl-view-stopped.json#1`}, map[string]string{
		`body`:                          `{"communication":"hpush://","init_msg":{"communication":"hpush://","init_timeout":"45s","name":"echo-etl-1","obj_timeout":"10s","resources":{},"runtime":{"image":"local/echo:latest"}},"init_timeout":"45s","name":"echo-etl-1","obj_timeout":"10s","resources":{},"runtime":{"image":"local/echo:latest"},"stage":"Aborted"}`,
		`header.Content-Type`:           `"application/json; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineStored},
	{[]string{`etl/etl3-view-aborted.json#1`}, map[string]string{
		`body`:                          `{"communication":"hpush://","env":[{"name":"B","value":"2"}],"init_msg":{"communication":"hpush://","env":[{"name":"B","value":"2"}],"init_timeout":"1m","name":"life-etl-1","obj_timeout":"20s","resources":{"limits":{"cpu":"1"}},"runtime":{"env":[{"name":"A","value":"1"}],"image":"local/echo"}},"init_timeout":"1m","name":"life-etl-1","obj_timeout":"20s","resources":{"limits":{"cpu":"1"}},"runtime":{"env":[{"name":"A","value":"1"}],"image":"local/echo"},"stage":"Aborted"}`,
		`header.Content-Type`:           `"application/json; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineStored},
	{[]string{`etl/etl-health.json#1`}, map[string]string{
		`body[Dgvt8081].cpu`: `2.5e-07`,
		`body[Dgvt8081].mem`: `67108864`,
		`body[Epit8082].cpu`: `2.5e-07`,
		`body[Epit8082].mem`: `67108864`,
	}, lineHealth},
	{[]string{`etl-cli/etl-object-pull.json#2`}, map[string]string{
		`body`:            `"<a href=\"http://10.99.0.1:31005/ais%2F@%23%2Fsrc%2Fhello.txt\">Temporary Redirect</a>.\n\n"`,
		`header.Location`: `"http://10.99.0.1:31005/ais%2F@%23%2Fsrc%2Fhello.txt"`,
	}, lineBytes},
	{[]string{`etl/etl-inline-pull-latest.json#2`}, map[string]string{
		`body`:            `"<a href=\"http://10.99.0.1:31005/ais%2F@%23%2Fsrc%2Fhello.txt?latest-ver=true\">Temporary Redirect</a>.\n\n"`,
		`header.Location`: `"http://10.99.0.1:31005/ais%2F@%23%2Fsrc%2Fhello.txt?latest-ver=true"`,
	}, lineBytes},
	{[]string{`etl/etl-inline-uuid.json#2`}, map[string]string{
		`body`:                      `"HELLO WORLD"`,
		`header.Ais-Atime`:          `<absent>`,
		`header.Ais-Checksum-Type`:  `<absent>`,
		`header.Ais-Checksum-Value`: `<absent>`,
		`header.Ais-Version`:        `<absent>`,
		`header.Content-Type`:       `"text/plain; charset=utf-8"`,
	}, lineUuid},
	{[]string{`etl/etl-list-after.json#1`, `etl/etl-list-stopped.json#1`, `etl/etl-list-end.json#1`}, map[string]string{
		`body[etl-md5-aaa].in_bytes`:  `33`,
		`body[etl-md5-aaa].out_bytes`: `96`,
		`body[upper-etl-1].in_bytes`:  `66`,
		`body[upper-etl-1].out_bytes`: `108`,
	}, lineCount},
	{[]string{`etl/etl3-list-aborted.json#1`, `etl-cli/etl3-stop-all.json#1`}, map[string]string{
		`body[etl-md5-aaa].in_bytes`:  `33`,
		`body[etl-md5-aaa].obj_count`: `3`,
		`body[etl-md5-aaa].out_bytes`: `96`,
		`body[loader-md5].in_bytes`:   `22`,
		`body[loader-md5].obj_count`:  `2`,
		`body[loader-md5].out_bytes`:  `64`,
		`body[upper-etl-1].in_bytes`:  `66`,
		`body[upper-etl-1].obj_count`: `6`,
		`body[upper-etl-1].out_bytes`: `108`,
	}, lineCount},
	{[]string{`etl/etl3-list-restarted.json#1`}, map[string]string{
		`body[etl-md5-aaa].in_bytes`:  `33`,
		`body[etl-md5-aaa].out_bytes`: `96`,
		`body[loader-md5].in_bytes`:   `22`,
		`body[loader-md5].obj_count`:  `2`,
		`body[loader-md5].out_bytes`:  `64`,
		`body[upper-etl-1].in_bytes`:  `66`,
		`body[upper-etl-1].out_bytes`: `108`,
	}, lineCount},
	{[]string{`etl/etlbck-seed-form.json#1`}, map[string]string{
		`body.message`: `"ETL name \"\" is empty"`,
		`body.status`:  `404`,
		`status`:       `404`,
	}, lineSeed},
	{[]string{`etl/etlbck-extstr.json#1`}, map[string]string{
		`body`:                          `"<id>"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineSeed},
	{[]string{`etl/etl-list-stopped.json#1`}, map[string]string{
		`body[echo-etl-1]`: `{"id":"echo-etl-1","in_bytes":0,"obj_count":0,"out_bytes":0,"stage":"Aborted","xaction_id":""}`,
	}, lineStop},
	{[]string{`etl-cli/etl-start.json#1`}, map[string]string{
		`body`:                          `"<id>"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineStop},
	{[]string{`etl/etl-delete-running.json#1`}, map[string]string{
		`body`:                          `""`,
		`header.Content-Type`:           `<absent>`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineStop},
	{[]string{`aisloader/aisl-etl-spec.json#6`, `aisloader/aisl-etl-spec.json#7`}, map[string]string{
		`body`:                          `"5eb63bbbe01eeed093cb22bb8f5acdc3"`,
		`header.Content-Type`:           `"text/plain; charset=utf-8"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `200`,
	}, lineAlias},
	{[]string{`aisloader/aisl-etl-spec-pull.json#6`}, map[string]string{
		`body`:                          `"<a href=\"http://<client>/ais%2F@%23%2Flll%2FdnNFIbxAgleSkNQrySjIDxhKvSmaCXlu\">Temporary Redirect</a>.\n\n"`,
		`header.Content-Type`:           `"text/html; charset=utf-8"`,
		`header.Location`:               `"http://<client>/ais%2F@%23%2Flll%2FdnNFIbxAgleSkNQrySjIDxhKvSmaCXlu"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `307`,
	}, lineAlias},
	{[]string{`aisloader/aisl-etl-spec-pull.json#7`}, map[string]string{
		`body`:                          `"<a href=\"http://<client>/ais%2F@%23%2Flll%2FNOJXxrsIXzxaBFfJpfxcdQCejXfisArs\">Temporary Redirect</a>.\n\n"`,
		`header.Content-Type`:           `"text/html; charset=utf-8"`,
		`header.Location`:               `"http://<client>/ais%2F@%23%2Flll%2FNOJXxrsIXzxaBFfJpfxcdQCejXfisArs"`,
		`header.X-Content-Type-Options`: `<absent>`,
		`status`:                        `307`,
	}, lineAlias},
	{[]string{`etl/etl3-name-dash.json#1`}, map[string]string{
		`body`:                          `{"caller":"","message":"invalid ETL: name: invalid etl name \"-abcdef\": must start and end with a letter or a number","method":"PUT","node":"p[xfi8um1c6btqv]","status":400,"url_path":"/v1/etl"}`,
		`header.Content-Type`:           `"application/json"`,
		`header.X-Content-Type-Options`: `"nosniff"`,
		`status`:                        `400`,
	}, lineNames},
	{[]string{`etl-cli/etl3-stop-all.json#1`, `etl-cli/etl3-show.json#1`, `etl-cli/etl3-rm-all.json#1`}, map[string]string{
		`body[-abcdef]`: `<absent>`,
	}, lineNames},
	{[]string{`etl-cli/etl3-stop-all.json#10`}, map[string]string{
		`body`:                          `{"caller":"","message":"p[xfi8um1c6btqv]: etl job -abcdef does not exist","method":"POST","node":"p[xfi8um1c6btqv]","status":404,"tcode":"ErrNotFound","url_path":"/v1/etl/-abcdef/stop"}`,
		`header.Content-Type`:           `"application/json"`,
		`header.X-Content-Type-Options`: `"nosniff"`,
		`status`:                        `404`,
	}, lineNames},
	{[]string{`etl-cli/etl3-rm-all.json#9`}, map[string]string{
		`body`:                          `{"caller":"","message":"p[xfi8um1c6btqv]: etl job -abcdef does not exist","method":"DELETE","node":"p[xfi8um1c6btqv]","status":404,"tcode":"ErrNotFound","url_path":"/v1/etl/-abcdef"}`,
		`header.Content-Type`:           `"application/json"`,
		`header.X-Content-Type-Options`: `"nosniff"`,
		`status`:                        `404`,
	}, lineNames},
	{[]string{`etl/etl-view-badname.json#1`, `etl/etl3-del-badname.json#1`}, map[string]string{
		`body.message`: `"p[xfi8um1c6btqv]: etl job Bad_Name does not exist"`,
		`body.status`:  `404`,
		`body.tcode`:   `"ErrNotFound"`,
		`status`:       `404`,
	}, lineLookup},
	{[]string{`etl-cli/etl-bucket-fail.json#6`, `etl-cli/inspect.json#2`}, map[string]string{
		`body.err`: `"ETL error: boom: transform failed"`,
	}, lineFailed},
	{[]string{`etl-cli/etl-bucket-fail.json#7`, `etl-cli/job-show-etlbck.json#1`, `etl-cli/job-show-etl.json#2`, `etl/xact-etlbck-snaps.json#1`}, map[string]string{
		`body.Epit8082[TM-Psj6kg].abort-err`: `"ETL error: boom: transform failed"`,
	}, lineFailed},
	{[]string{`etl/xact-status-all.json#1`}, map[string]string{
		`body[TM-Psj6kg].err`: `"ETL error: boom: transform failed"`,
	}, lineFailed},
	{[]string{`etl/xact-status-inline.json#1`}, map[string]string{
		`body.uuid`: `"etl-buQl9j6kg"`,
	}, lineKind},
	{[]string{`transformer/hpush-inline-body.json#1`}, map[string]string{
		`asked.headers.Content-Type`: `["application/octet-stream"]`,
	}, lineType},
	{[]string{`transformer/pod-create-from-podspec.json#1`, `transformer/pod-create-from-runtime-spec.json#1`}, map[string]string{
		`asked.spec.containers[0].env.DIRECT_PUT`: `"false"`,
	}, lineEnv},
	{[]string{`transformer/pod-create-from-podspec.json#1`, `transformer/pod-create-from-runtime-spec.json#1`}, map[string]string{
		`asked.spec.containers[0].env.ARG_TYPE`:          `"fqn"`,
		`asked.spec.containers[0].env.ETLBENCH_FQN_ROOT`: `"<text>"`,
	}, lineFqn},
	{[]string{`etl/etl-init-noimage.json#1`}, map[string]string{
		`body.message`: `"[<node>,etl=\"noimage-etl\",pod=\"noimage-etl-dgvt8081\"] container: noimage-etl, state: Waiting, reason: ErrImagePull, message: failed to pull image local/non-exist, exitCode: 0"`,
	}, lineNoinit},
	{[]string{`etl/xact-etlinline-snaps.json#1`}, map[string]string{
		`body.Dgvt8081[etl-B6crsd6kk].abort-err`: `"container: noimage-etl, state: Waiting, reason: ErrImagePull, message: failed to pull image local/non-exist, exitCode: 0"`,
		`body.Dgvt8081[etl-B6crsd6kk].aborted`:   `true`,
		`body.Epit8082[etl-B6crsd6kk].abort-err`: `"container: noimage-etl, state: Waiting, reason: ErrImagePull, message: failed to pull image local/non-exist, exitCode: 0"`,
		`body.Epit8082[etl-B6crsd6kk].aborted`:   `true`,
	}, lineNoinit},
}
