package conformance

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// recording is one file of the golden recordings.
type recording struct {
	File      string     `json:"file"`
	Exchanges []exchange `json:"exchanges"`
	// Data is what a pod or Kubernetes was asked, in the folder transformer.
	Data json.RawMessage `json:"data"`
}

// exchange is one request and its reply.
type exchange struct {
	Seq        int    `json:"seq"`
	AnsweredBy string `json:"answered_by"` // proxy, target1 or target2
	Method     string `json:"method"`
	Path       string `json:"path"` // unescaped
	Query      string `json:"query"`
	Request    side   `json:"request"`
	Response   side   `json:"response"`
}

// side is a request or a reply. A body that is not text is there with its
// first bytes only.
type side struct {
	Status   int                 `json:"status"`
	Headers  map[string][]string `json:"headers"`
	Body     json.RawMessage     `json:"body"`
	Encoding string              `json:"body_encoding"`
	Length   int                 `json:"body_length"`
	Raw      []byte              `json:"raw_base64"`
	Note     string              `json:"note"`
}

// Encodings of a body in the recordings.
const (
	encodingText    = "text"
	encodingJSON    = "json"
	encodingBase64  = "base64 (head)"
	encodingMsgpack = "msgpack (decoded to JSON here)"
)

// load reads all recordings, by file.
func load(t *testing.T) map[string]*recording {
	paths, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	all := map[string]*recording{}
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r recording
			require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
			all[r.File] = &r
		}
		require.NoError(t, lines.Err())
	}
	return all
}

// index lists the files that there must be.
func index(t *testing.T) []string {
	data, err := os.ReadFile("testdata/index.txt")
	require.NoError(t, err)
	return strings.Fields(string(data))
}

func (s *side) header(name string) string {
	if v := s.Headers[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// content is the whole body: what the recording left out of it is filled in.
func (s *side) content(t *testing.T) []byte {
	var text string
	switch s.Encoding {
	case encodingText:
		require.NoError(t, json.Unmarshal(s.Body, &text))
		return []byte(text)
	case encodingBase64:
		return fill(s.head(t), s.Length)
	}
	return s.Body
}

// head is the beginning of a binary body; "..." marks that more followed.
func (s *side) head(t *testing.T) []byte {
	var text string
	require.NoError(t, json.Unmarshal(s.Body, &text))
	data, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, "..."))
	require.NoError(t, err)
	return data
}

// fill makes an object of size bytes that begins with head.
func fill(head []byte, size int) []byte {
	if len(head) >= size {
		return head[:size]
	}
	more := bytes.Repeat([]byte("what a recording leaves out. "), (size-len(head))/29+1)
	return append(bytes.Clone(head), more[:size-len(head)]...)
}

// digests finds out which recorded checksum belongs to which of the contents
// that we fill in, so that checksums can be compared after all.
func digests(t *testing.T, all map[string]*recording) map[string]string {
	ours := map[string]string{}
	for _, r := range all {
		for _, e := range r.Exchanges {
			body, sum := &e.Request, e.Response.header("Ais-Checksum-Value")
			if e.Method == "GET" {
				body = &e.Response
			}
			if v := body.header("Ais-Checksum-Value"); v != "" {
				sum = v
			}
			if body.Encoding != encodingBase64 || sum == "" || e.Response.Status == 206 {
				continue
			}
			mine := hexDigest(body.content(t))
			if old, ok := ours[sum]; ok {
				require.Equal(t, old, mine, "%s: one checksum, two contents", r.File)
			}
			ours[sum] = mine
		}
	}
	return ours
}

// jobID is the id of a job that a reply is, or "". An ETL's run is not meant.
func (s *side) jobID(t *testing.T) string {
	if s.Status != 200 || s.Encoding != encodingText || s.header("Content-Type") != "text/plain; charset=utf-8" {
		return ""
	}
	if id := string(s.content(t)); wellFormed.MatchString(id) && !strings.HasPrefix(id, "etl-") {
		return id
	}
	return ""
}

func hexDigest(data []byte) string {
	return fmt.Sprintf("%016x", xxhash.Sum64(data))
}
