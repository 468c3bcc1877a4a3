package api

import "encoding/json"

// URL paths, without the host.
const (
	PathBuckets = "/v1/buckets"
	PathObjects = "/v1/objects"
	PathCluster = "/v1/cluster"
	PathDaemon  = "/v1/daemon"
	PathReverse = "/v1/reverse/daemon"
	PathHealth  = "/v1/health"
	PathETL     = "/v1/etl"
	// PathETLObject is what a pod asks its target for objects under:
	// PathETLObject/{etl}/{secret}/{uname}.
	PathETLObject = "/v1/etl/_object"
)

// Query parameters.
const (
	QparamProvider  = "provider"
	QparamNamespace = "namespace"
	QparamETLName   = "etl_name"
	QparamUUID      = "uuid"
	QparamETLArgs   = "etl_args"
	QparamETLFQN    = "etl_fqn" // a file that a pod reads in place of a body
	QparamPipeline  = "etl_pipeline"
	QparamLatestVer = "latest-ver"
	QparamBckTo     = "bck_to"
	QparamObjTo     = "object_to"
	QparamSync      = "synchronize"
	QparamProxyID   = "pid" // of the proxy that redirected
	QparamUnixTime  = "utm" // when it did: ns in base 36
	QparamWhat      = "what"
	QparamSkipVC    = "skip_vc"
	QparamOWT       = "owt"
	QparamProps     = "props"
	QparamSummary   = "bsumm_remote" // a HEAD of a bucket tells its sums, too
	QparamStarts    = "pod_starts"   // details of an ETL have how long its pods took to start: not AIStore's
	QparamCommand   = "command"      // io://: historical, one value an argument
)

// Headers.
const (
	HdrError         = "Hdr-Error" // the error JSON of a HEAD
	HdrAtime         = "Ais-Atime"
	HdrChecksumType  = "Ais-Checksum-Type"
	HdrChecksumValue = "Ais-Checksum-Value"
	HdrVersion       = "Ais-Version"
	HdrCustomMD      = "Ais-Custom-Md" // k=v, may repeat
	HdrPresent       = "Ais-Present"
	HdrName          = "Ais-Name"
	HdrBucketName    = "Ais-Bucket-Name"
	HdrBucketProv    = "Ais-Bucket-Provider"
	HdrMirrorCopies  = "Ais-Mirror-Copies"
	HdrMirrorPaths   = "Ais-Mirror-Paths"
	HdrLocation      = "Ais-Location"
	HdrBucketProps   = "Ais-Bucket-Props"
	HdrBucketSumm    = "Ais-Bucket-Summ"
	HdrXactionID     = "Ais-Xaction-Id"
	HdrNodeID        = "Ais-Node-Id" // which node a reverse call is for
	HdrNodeUptime    = "Ais-Node-Uptime"
	HdrClusterUptime = "Ais-Cluster-Uptime"

	HdrNodeURL         = "Ais-Node-Url"          // where a pod sends its result by itself, comma-separated
	HdrDirectPutLength = "Ais-Direct-Put-Length" // how many bytes it sent there
	HdrTiming          = "Etlbench-Timing"       // "1": the reply is to say where its time went
	HdrServerTiming    = "Server-Timing"         // where it went, as W3C has it
	HdrRetryReason     = "Ais-Etl-Retry-Reason"  // of a pod's 503
)

// Actions of bodies {"action": …}.
const (
	ActCreateBucket  = "create-bck"
	ActDestroyBucket = "destroy-bck"
	ActList          = "list"
	ActSetProps      = "set-bprops"
	ActResetProps    = "reset-bprops"
	ActSummary       = "summary-bck"
	ActETLBucket     = "etl-bck"
	ActCopyBucket    = "copy-bck"
	ActETLObjects    = "etl-listrange"  // of a list or a template of names
	ActCopyObjects   = "copy-listrange" // likewise
	ActDeleteObjects = "delete-listrange"
	ActRenameObject  = "rename-obj"
	ActETLInline     = "etl-inline" // kind of an ETL's own xaction
	ActStart         = "start"
	ActStop          = "stop"
	ActDecommission  = "decommission-node"
)

// Environment that a target gives to a pod.
const (
	EnvTargetURL   = "AIS_TARGET_URL"
	EnvDirectPut   = "DIRECT_PUT" // what documents say
	EnvDirectPutLC = "direct_put" // what real targets set
	EnvArgType     = "ARG_TYPE"   // "fqn": the pod is given files rather than bytes
	// EnvFQNRoot is the folder that such files are in; it is this cluster's own.
	EnvFQNRoot = "ETLBENCH_FQN_ROOT"
	// EnvObjectTimeout is how long the target waits for an object that makes no
	// progress, such as "10s"; it is this cluster's own, too.
	EnvObjectTimeout = "ETLBENCH_OBJECT_TIMEOUT"
)

// Stages of an ETL.
const (
	StageInitializing = "Initializing"
	StageRunning      = "Running"
	StageAborted      = "Aborted"
)

// Content types.
const (
	MimeJSON    = "application/json; charset=utf-8"
	MimeErr     = "application/json" // of error bodies, without a charset
	MimeMsgpack = "application/msgpack"
	MimeText    = "text/plain; charset=utf-8"
	MimeBinary  = "application/octet-stream"
)

// ActMsg is the body of most control requests.
type ActMsg struct {
	Action string `json:"action"`
	Name   string `json:"name,omitempty"`
	Value  any    `json:"value,omitempty"`
}

// EnvVar is one environment variable of a pod.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// ValueFrom is there to be refused: what it refers to is Kubernetes' own.
	ValueFrom json.RawMessage `json:"valueFrom,omitempty"`
}
