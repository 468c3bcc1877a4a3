package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/etlbench/etlbench/cluster/comm"
)

// bucket is where the objects of a run are.
const bucket = "check"

// object is an object of a run. Its contents never change.
type object struct {
	name string
	data []byte
}

// textSize is the size of ordinary objects, bytes.
const textSize = 4 << 10

// object is an ordinary object: the user's own contents, or text, which more
// transforms take than any bytes.
func (c *checker) object(name string) object {
	data := c.cfg.Input
	if data == nil {
		data = text(name, textSize)
	}
	return c.keep(object{name, data})
}

// keep puts an object on the target.
func (c *checker) keep(o object) object {
	c.cfg.Target.put(o)
	return o
}

// text is size bytes of lines that differ from name to name.
func text(name string, size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "line %d of %s, which nobody reads\n", i, name)
	}
	return b.Bytes()[:size]
}

// anyBytes has every value of a byte, and every pair with a line end.
func anyBytes() []byte {
	var b []byte
	for i := range 256 {
		b = append(b, byte(i), '\r', byte(i), '\n')
	}
	return b
}

// reference is what an object gave first.
type reference struct {
	data []byte
	from string // who gave it
}

// errWrongRefusal is the refusal of an object whose result is known.
var errWrongRefusal = errors.New("refused, where a result is expected")

// judge compares a result with the expected one and with what the object gave
// before. refused is the transformer's own refusal in place of a result: it
// comes back when nothing says that the object must be taken or refused.
func (c *checker) judge(o object, args, from string, data []byte, refused *comm.TransformError) error {
	if c.cfg.Expect != nil {
		want, err := c.expected(o, args)
		switch {
		case errors.Is(err, ErrNoExpectation):
		case err != nil && refused != nil:
			return nil
		case err != nil:
			return fmt.Errorf("%s: a result of %d bytes, where it is expected to refuse: %w", o.name, len(data), err)
		case refused != nil:
			return fmt.Errorf("%s: %w of %d bytes: %w", o.name, errWrongRefusal, len(want), refused)
		default:
			if err := differ(o, data, want, "the expected result"); err != nil {
				return err
			}
		}
	}
	if refused != nil {
		return fmt.Errorf("%s: %w", o.name, refused)
	}
	if c.cfg.Varies {
		return nil
	}
	return c.same(o, args, from, data)
}

// same holds a result against the first that the object gave.
func (c *checker) same(o object, args, from string, data []byte) error {
	key := o.name + "\x00" + args
	first, ok := c.known[key]
	if !ok {
		c.known[key] = reference{data, from}
		return nil
	}
	return differ(o, data, first.data, "what "+first.from+" gave before")
}

func (c *checker) expected(o object, args string) ([]byte, error) {
	var want bytes.Buffer
	err := c.cfg.Expect(context.Background(), &want, bytes.NewReader(o.data),
		comm.Info{Bucket: bucket, Name: o.name, Size: int64(len(o.data)), Args: args})
	return want.Bytes(), err
}

// takes says why an object is expected to be refused, nil when it is not.
func (c *checker) takes(o object) error {
	if c.cfg.Expect == nil {
		return nil
	}
	_, err := c.expected(o, "")
	if errors.Is(err, ErrNoExpectation) {
		return nil
	}
	return err
}

// differ tells where a result differs from another.
func differ(o object, got, want []byte, what string) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%s: a result of %d bytes differs from %s, of %d bytes, at byte %d", o.name, len(got), what, len(want), at)
}

// oddNames are names that paths, queries and decoders trip over.
func oddNames() []string {
	return []string{"dir/sub/deep.txt", "sp ace.txt", "100%.txt", "%41%2F.txt", "what?a=b&c#d;e.txt", "ünï/cödé+=@:.txt",
		`back\slash'"<>|.txt`, "-", ".hidden", strings.Repeat("long-", 40) + ".txt"}
}
