package main

import (
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
)

// parseURI reads "ais://bucket/object", "bucket/object" and both without an
// object, which is then "".
func parseURI(s string) (api.Bucket, string, error) {
	rest := s
	if scheme, r, ok := strings.Cut(s, "://"); ok {
		if scheme != api.ProviderAIS {
			return api.Bucket{}, "", misuse("%q: only %s:// buckets are known here", s, api.ProviderAIS)
		}
		rest = r
	}
	bucket, object, _ := strings.Cut(rest, "/")
	if err := api.CheckBucketName(bucket); err != nil {
		return api.Bucket{}, "", misuse("%q: %w: write ais://BUCKET or ais://BUCKET/OBJECT", s, err)
	}
	return api.AIS(bucket), object, nil
}

// parseBucket reads an argument that names a bucket.
func parseBucket(s string) (api.Bucket, error) {
	b, object, err := parseURI(s)
	if err == nil && object != "" {
		err = misuse("%q: names an object, a bucket is wanted", s)
	}
	return b, err
}

// parseObject reads an argument that names an object.
func parseObject(s string) (api.Bucket, string, error) {
	b, object, err := parseURI(s)
	if err == nil && object == "" {
		err = misuse("%q: names a bucket, an object is wanted: BUCKET/OBJECT", s)
	}
	if err == nil {
		if bad := api.CheckObjectName(object); bad != nil {
			err = misuse("%q: %w", s, bad)
		}
	}
	return b, object, err
}

// checkETLs checks arguments that name ETLs.
func checkETLs(names ...string) error {
	for _, n := range names {
		if err := api.CheckETLName(n); err != nil {
			return misuse("%w", err)
		}
	}
	return nil
}

// parsePairs reads "{in1:out1, in2:out2}", with or without braces and quotes.
func parsePairs(flag, s string) (map[string]string, error) {
	pairs := map[string]string{}
	text := strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		text = strings.TrimSuffix(inner, "}")
	}
	clean := func(s string) string { return strings.TrimLeft(strings.Trim(strings.TrimSpace(s), `"'`), ".") }
	for pair := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(pair, ":")
		if from, to = clean(from), clean(to); !ok || from == "" || to == "" {
			return nil, misuse("%s %q: must be pairs such as jpg:png,jpeg:png", flag, s)
		}
		pairs[from] = to
	}
	return pairs, nil
}

// parseList reads names with commas between.
func parseList(flag, s string) ([]string, error) {
	var list []string
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == "" {
			return nil, misuse("%s %q: a name in it is empty", flag, s)
		}
		list = append(list, name)
	}
	return list, nil
}
