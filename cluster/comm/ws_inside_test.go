package comm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextReplies(t *testing.T) {
	direct := Request{Stops: []string{"http://t/x"}}
	for _, tt := range []struct {
		text string
		r    Request
		size int64 // when delivered
		err  string
	}{
		{"17", direct, 17, ""},
		{"direct put success", direct, -1, ""},
		{"0", direct, 0, "could not deliver"},
		{"17", Request{}, 0, "could not deliver"},
		{"Transform error: boom", direct, 0, "ETL error: Transform error: boom"},
		{"direct put success", Request{}, 0, "ETL error: direct put success"},
	} {
		r, err := wsText(tt.text, tt.r)
		if tt.err != "" {
			require.ErrorIs(t, err, ErrTransform)
			require.ErrorContains(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, Reply{Delivered: true, Size: tt.size}, r)
	}
}

func FuzzControl(f *testing.F) {
	f.Add([]byte(`{"pipeline":"http://a,http://b","etl_args":"x","fqn":"%2Fa","path":"d/o"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseControl(data)
		if err != nil {
			return
		}
		s := &Server{}
		for _, stop := range s.stops(m.Stops) {
			require.NotContains(t, stop, ",")
			require.NotEmpty(t, strings.TrimSpace(stop))
		}
		_, err = s.openFile(m.Path)
		require.Error(t, err, "no folder was given")
	})
}
