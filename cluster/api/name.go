package api

import (
	"fmt"
	"net/url"
	"strings"
)

// ProviderAIS is the only bucket provider that a reference cluster has.
const ProviderAIS = "ais"

// maxObjectName and maxBucketName are the longest names, in bytes.
const (
	maxObjectName = 1024
	maxBucketName = 64
)

// Bucket names a bucket. Provider "" means ais.
type Bucket struct {
	Name      string    `json:"name"`
	Provider  string    `json:"provider"`
	Namespace Namespace `json:"namespace"`
}

// Namespace is always the global one here; the wire carries it anyway.
type Namespace struct {
	UUID string `json:"uuid"`
	Name string `json:"name"`
}

// AIS returns the ais:// bucket called name.
func AIS(name string) Bucket { return Bucket{Name: name, Provider: ProviderAIS} }

// String is the bucket's URI, "ais://name".
func (b Bucket) String() string {
	if b.Provider == "" {
		return ProviderAIS + "://" + b.Name
	}
	return b.Provider + "://" + b.Name
}

// Uname is the name that placement hashes and that pods are asked for:
// "ais/@#/bucket/object". An empty object leaves the trailing slash, which is
// how the wire names a bucket.
func (b Bucket) Uname(object string) string {
	return ProviderAIS + "/@#/" + b.Name + "/" + object
}

// ParseUname splits a uname. It also takes the plain "bucket/object" that the
// reference promises to transformers.
func ParseUname(uname string) (bucket, object string, err error) {
	rest, ok := strings.CutPrefix(uname, ProviderAIS+"/@#/")
	if !ok {
		rest = uname
	}
	bucket, object, _ = strings.Cut(rest, "/")
	if err := CheckBucketName(bucket); err != nil {
		return "", "", err
	}
	return bucket, object, nil
}

// EscapeUname makes one URL path segment of a uname.
func EscapeUname(uname string) string { return url.PathEscape(uname) }

// CheckBucketName says what is wrong with a bucket's name: it has 1 to 64
// letters, digits, '-', '_' and '.', and is neither "." nor "..".
func CheckBucketName(name string) error {
	const rule = "may only contain letters, numbers, dashes (-), underscores (_), and dots (.)"
	if name == "" {
		return fmt.Errorf("bucket name is invalid: it is empty")
	}
	if len(name) > maxBucketName {
		return fmt.Errorf("bucket name is invalid: longer than %d bytes", maxBucketName)
	}
	for _, c := range []byte(name) {
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("bucket name is invalid: %s", rule)
		}
	}
	if strings.Contains(name, "..") || name == "." {
		return fmt.Errorf("bucket name is invalid: cannot be or contain '..'")
	}
	return nil
}

// CheckObjectName refuses names that no target stores: empty, longer than
// 1024 bytes, holding a NUL, or with a "." or ".." component.
func CheckObjectName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("invalid object name %q: it is empty", name)
	case len(name) > maxObjectName:
		return fmt.Errorf("invalid object name: %d bytes, at most %d are allowed", len(name), maxObjectName)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("invalid object name %q: it has a NUL byte", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return fmt.Errorf("invalid object name %q", name)
		}
	}
	return nil
}

// CheckETLName checks a name as look-ups take it, in either dialect:
// 6 to 32 letters, digits, '-' and '_'.
func CheckETLName(name string) error {
	if n := len(name); n < 6 || n > 32 {
		return fmt.Errorf("invalid etl name %q: must be 6 to 32 characters long", name)
	}
	for _, c := range []byte(name) {
		if !isAlnum(c) && c != '-' && c != '_' {
			return fmt.Errorf("invalid etl name %q: may only contain letters, numbers, '-' and '_'", name)
		}
	}
	return nil
}

// CheckNewETLName checks the name of an ETL to be created. In the old dialect
// (key "id") it starts with a letter and has 6 to 20 letters, digits, '_' and
// '-'; in the new one (key "name") 6 to 32 lower-case letters, digits and '-',
// with a letter or digit at both ends.
func CheckNewETLName(name string, old bool) error {
	if err := CheckETLName(name); err != nil {
		return err
	}
	if old {
		if len(name) > 20 {
			return fmt.Errorf("invalid etl name %q: must be longer than 5 and shorter than 21 characters", name)
		}
		if c := name[0]; !isAlnum(c) || isDigit(c) {
			return fmt.Errorf("invalid etl name %q: must start with a letter", name)
		}
		return nil
	}
	for _, c := range []byte(name) {
		if c >= 'A' && c <= 'Z' || c == '_' {
			return fmt.Errorf("invalid etl name %q: may only contain lower-case letters, numbers and '-'", name)
		}
	}
	if !isAlnum(name[0]) || !isAlnum(name[len(name)-1]) {
		return fmt.Errorf("invalid etl name %q: must start and end with a letter or a number", name)
	}
	return nil
}

// PodName is the name of an ETL's pod on a target: "<etl>-<target>", lower
// case, with '_' turned into '-'.
func PodName(etl, target string) string {
	return strings.ReplaceAll(strings.ToLower(etl+"-"+target), "_", "-")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c)
}
