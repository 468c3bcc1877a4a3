package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
)

// Errors that callers branch on. An *Error that came over the wire matches
// them with errors.Is.
var (
	ErrNotFound       = errors.New("not found")
	ErrBucketNotFound = errors.New("bucket does not exist")
	ErrExists         = errors.New("already exists")
	ErrBadRequest     = errors.New("bad request")
	ErrUnavailable    = errors.New("service unavailable")
	// ErrNoCommType is an ETL of a communication type that the cluster does not
	// have, as AIStore refuses those that it has dropped.
	ErrNoCommType = errors.New("communication type is not offered")
)

// noCommType is how AIStore refuses a type. Without its "://" no type is known to
// it, which is a mistake of who asks.
var noCommType = regexp.MustCompile(`unknown comm-type "\w+://"`)

// Kinds of Error ("tcode"). Plain errors have none.
const (
	KindNotFound       = "ErrNotFound"
	KindBucketNotFound = "ErrBckNotFound"
	KindBucketExists   = "ErrBucketAlreadyExists"
	KindETL            = "ErrETL"
	KindBadChecksum    = "ErrBadCksum"
	KindInvalidPath    = "errInvalidPath"
	KindRange          = "ErrRangeNotSatisfiable"
	KindNodeNotFound   = "errNodeNotFound"
	KindProvider       = "ErrInvalidBackendProvider"
	KindUnsupported    = "ErrUnsupp"
)

// Error is an error reply: the body, or the header Hdr-Error of a HEAD.
type Error struct {
	Kind       string `json:"tcode,omitempty"`
	Message    string `json:"message"`
	Method     string `json:"method"`
	Path       string `json:"url_path"`
	RemoteAddr string `json:"remote_addr"`
	Caller     string `json:"caller"`
	Node       string `json:"node"` // "p[ID]" or "t[ID]" of the node that failed
	Status     int    `json:"status"`
}

// Errorf makes an Error of a status and a kind, which may be "".
func Errorf(status int, kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Status: status, Message: fmt.Sprintf(format, args...)}
}

// Error is the message: it already names what it is about.
func (e *Error) Error() string { return e.Message }

// Is matches the sentinels of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrBucketNotFound:
		return e.Kind == KindBucketNotFound
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrExists:
		return e.Status == http.StatusConflict
	case ErrBadRequest:
		return e.Status == http.StatusBadRequest
	case ErrUnavailable:
		return e.Status == http.StatusServiceUnavailable
	case ErrNoCommType:
		return e.Status == http.StatusBadRequest && noCommType.MatchString(e.Message)
	}
	return false
}

// ParseError reads an error reply. A body that is none, from a proxy in
// between for example, becomes the message as it is.
func ParseError(status int, body []byte) *Error {
	var e Error
	if err := json.Unmarshal(body, &e); err != nil || e.Message == "" {
		const most = 512
		e = Error{Message: fmt.Sprintf("status %d: %s", status, body[:min(len(body), most)])}
	}
	if e.Status < http.StatusBadRequest {
		e.Status = status
	}
	return &e
}
