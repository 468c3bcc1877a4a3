package python

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRequirements(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		wantErr    string
	}{
		{name: "nothing"},
		{name: "blank lines and comments", text: "\n  \r\n# numpy\n\t# x \\\n"},
		{name: "names", text: "numpy\n requests[socks] >= 2.0 , != 2.1  # why\nfoo~=1.2\n", want: []string{"numpy", "requests[socks] >= 2.0 , != 2.1", "foo~=1.2"}},
		{name: "markers", text: `foo==1; python_version < "3" and os_name == 'nt'`, want: []string{`foo==1; python_version < "3" and os_name == 'nt'`}},
		{name: "hash of a URL", text: "foo @ https://host/foo.whl#sha256=12", want: []string{"foo @ https://host/foo.whl#sha256=12"}},
		{name: "version control", text: "git+https://host/foo.git@v1", want: []string{"git+https://host/foo.git@v1"}},
		{name: "continued", text: "foo \\\n  --hash=sha256:12 \\\n  --hash=sha256:34\nbar", want: []string{"foo   --hash=sha256:12   --hash=sha256:34", "bar"}},
		{name: "index", text: "--no-index --find-links /wheels\n-f file:///wheels\n--find-links=./wheels\n-i https://host/simple", want: []string{"--no-index --find-links /wheels", "-f file:///wheels", "--find-links=./wheels", "-i https://host/simple"}},
		{name: "byte order mark", text: "\ufefffoo", want: []string{"foo"}},

		{name: "a comment is not continued", text: "# x \\\n-r /etc/passwd", wantErr: "line 2: -r: not an option that is allowed here: -i --index-url"},
		{name: "other file", text: "foo\n-r other.txt", wantErr: "line 2: -r: not an option"},
		{name: "other file, in one word", text: "-rother.txt", wantErr: "-rother.txt: not an option"},
		{name: "abbreviated", text: "--requir=other.txt", wantErr: "--requir=other.txt: not an option"},
		{name: "constraints", text: "--constraint x", wantErr: "--constraint: not an option"},
		{name: "editable", text: "-e .", wantErr: "-e: not an option"},
		{name: "behind another", text: "--no-index -r x", wantErr: "-r: not an option"},
		{name: "quoted", text: `--no-index "-r" x`, wantErr: "-r: not an option"},
		{name: "escaped", text: `--no-index \-r x`, wantErr: "line 1: has a backslash"},
		{name: "continued with a space behind", text: "foo \\ \n-r x", wantErr: "line 1: has a backslash"},
		{name: "continued option", text: "-\\\nr x", wantErr: "line 2: -r: not an option"},
		{name: "variable", text: "${X}", wantErr: "${X}: variables are not replaced here"},
		{name: "file URL", text: "foo @ FILE:///foo.whl", wantErr: "FILE:///foo.whl: a path of this machine"},
		{name: "file URL of version control", text: "git+file:///foo", wantErr: "git+file:///foo: a path of this machine"},
		{name: "path", text: "/foo", wantErr: "/foo: a path of this machine"},
		{name: "relative path", text: "./foo", wantErr: "./foo: a path of this machine"},
		{name: "here", text: ".", wantErr: ".: a path of this machine"},
		{name: "home", text: "~user", wantErr: "~user: a path of this machine"},
		{name: "wheel", text: "foo-1-py3-none-any.whl", wantErr: "foo-1-py3-none-any.whl: a path of this machine"},
		{name: "wheel with an extra", text: "foo-1.ZIP[x]", wantErr: "foo-1.ZIP[x]: a path of this machine"},
		{name: "line of another kind", text: "foo\u2028-r x", wantErr: "line 1: has a control character"},
		{name: "carriage return", text: "foo\r-r x", wantErr: "line 1: has a control character"},
		{name: "form feed", text: "foo\f-r x", wantErr: "line 1: has a control character"},
		{name: "latin 1", text: "# \xe4", wantErr: "not UTF-8 text"},
		{name: "unended", text: "foo \\", wantErr: "the last line is continued"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseRequirements([]byte(c.text))
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)
				require.NotContains(t, err.Error(), "\n")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestCheckPipVariable(t *testing.T) {
	for _, name := range []string{"PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_INDEX_URL", "HOME"} {
		require.NoError(t, CheckPipVariable(name))
	}
	for _, name := range []string{"PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_TARGET", "PIP_CONFIG_FILE", "PIP_"} {
		require.ErrorContains(t, CheckPipVariable(name), name+": not a setting that is allowed here")
	}
}

// FuzzParseRequirements looks for lines that pip would take for more, or for
// something else, than was checked.
func FuzzParseRequirements(f *testing.F) {
	for _, seed := range []string{"a\\\nb # c\n-f /x", "--no-index '-r' x", "x;y[z]\\", "\ufeff#\\\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := parseRequirements(data)
		if err != nil {
			return
		}
		again, err := parseRequirements([]byte(strings.Join(lines, "\n")))
		require.NoError(t, err)
		require.Equal(t, lines, again)
		for _, line := range lines {
			require.NotEmpty(t, strings.TrimSpace(line))
			require.NotContains(t, line, `\`)
			require.NotContains(t, strings.ToLower(strings.NewReplacer(`"`, "", `'`, "").Replace(line)), " -r")
		}
	})
}
