package main

// aisOther is a flag of aisloader that a scenario has no key for.
type aisOther struct {
	name   string
	off    string // the value that asks for nothing, aisloader's default; of a toggle "false" or "true"
	refuse bool   // something else would be measured without it
	why    string
}

// aisOthers are those of version 1.5 of AIStore.
func aisOthers() []aisOther {
	const (
		loads    = "it prints something and loads nothing"
		s3       = "a cluster is loaded by AIStore's API, not S3"
		archives = "objects are read and put as a whole, not members of archives"
		whole    = "objects are read as a whole: what a transform gives has no ranges"
		parts    = "an object is read and put by one request of its own"
		remote   = "ais:// buckets are nobody's copy"
		names    = "objects have the names of the data set"
		computed = "contents are computed, not stored"
		one      = "one process makes all load"
		report   = "numbers are in the run folder: --out, -o json"
	)
	return []aisOther{
		{"usage", "false", true, loads},
		{"version", "false", true, loads},
		{"getloaderid", "false", true, loads},
		{"dry-run", "false", true, "etlbench scenarios import prints the scenario, etlbench scenarios plan what it takes"},
		{"tokenfile", "", true, "requests carry no token"},
		{"s3endpoint", "", true, s3},
		{"s3profile", "", true, s3},
		{"s3-use-path-style", "false", true, s3},
		{"bprops", "", true, "make the bucket with its properties first: etlbench bucket create, etlbench bucket props"},
		{"filelist", "", true, names + ", not of a file"},
		{"readoff", "0", true, whole},
		{"readlen", "0", true, whole},
		{"get-batchsize", "0", true, parts},
		{"multipart-chunks", "0", true, parts},
		{"pctmultipart", "0", true, parts},
		{"pctmpdstream", "0", true, parts},
		{"mpdstream-chunk-size", "0", true, parts},
		{"mpdstream-workers", "0", true, parts},
		{"arch.pct", "0", true, archives},
		{"arch.list", "false", true, archives},
		{"arch.format", "", true, archives},
		{"arch.prefix", "", true, archives},
		{"arch.num-files", "0", true, archives},
		{"arch.minsize", "", true, archives},
		{"arch.maxsize", "", true, archives},
		{"latest", "false", false, remote},
		{"cached", "false", false, remote},
		{"list-dirs", "false", false, remote},
		{"nbi", "false", false, remote},
		{"evict-batchsize", "1000", false, remote},
		{"cont-on-err", "false", false, parts},
		{"randomproxy", "false", false, "requests go to the proxies of target.proxies in turn: name several"},
		{"skiplist", "false", false, "nothing is listed"},
		{"subdir", "", false, names},
		{"num-subdirs", "0", false, names},
		{"randomname", "true", false, names},
		{"perm-shuffle-max", "100000", false, "names are permuted without a list of them"},
		{"cksum-type", "xxhash2", false, "objects have the checksum that their bucket asks for: etlbench bucket props"},
		{"tmpdir", "/tmp/ais", false, computed},
		{"readertype", "sg", false, computed},
		{"loaderid", "0", false, one},
		{"loadernum", "0", false, one},
		{"loaderidhashlen", "0", false, one},
		{"statsinterval", "10", false, report},
		{"stats-output", "", false, report},
		{"json", "false", false, report},
		{"statsdip", "localhost", false, report},
		{"statsdport", "8125", false, report},
		{"stoppable", "false", false, "Ctrl-C always ends a run, and keeps what was measured"},
		{"quiet", "false", false, "these lines are all that is said"},
		{"trace-http", "false", false, "where the time goes is recorded anyway: collect.phases"},
	}
}
