package python

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// requirementOptions are the options that a requirements file may have. Those
// that are missing read other files of this machine (-r, -c, -e): these are not
// what the sender sees, and not part of what environments are kept by. A longer
// list lets in nothing that the code could not do, but pip knows abbreviations,
// so only a list of what is allowed is complete.
var requirementOptions = []string{"-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links",
	"--no-binary", "--only-binary", "--prefer-binary", "--require-hashes", "--pre", "--trusted-host",
	"--hash", "--config-settings", "--global-option"}

// CheckPipVariable refuses a setting of pip's, by the name of its environment
// variable, that somebody who may send requirements may not make: those that
// are no option of a requirements file. Others than PIP_… are not its business.
func CheckPipVariable(name string) error {
	option, ok := strings.CutPrefix(name, "PIP_")
	option = "--" + strings.ToLower(strings.ReplaceAll(option, "_", "-"))
	if !ok || slices.Contains(requirementOptions, option) {
		return nil
	}
	return fmt.Errorf("python: dependencies: %s: not a setting that is allowed here: %s is no option of a requirements file that is", name, option)
}

// comment is a comment as pip sees it: behind a space, or a whole line.
var comment = regexp.MustCompile(`(^|\s)#.*$`)

// archive ends the name of a file that pip would install from.
var archive = regexp.MustCompile(`(?i)\.(whl|zip|tar\.gz|tgz|tar|tar\.bz2|tbz|tar\.xz)$`)

// parseRequirements returns the lines of a requirements file that ask for
// something, in a form that leaves pip nothing to join, to cut or to decode:
// what is checked here is what pip reads. Lines that refer to this machine's
// files are errors, but for the folders of --find-links.
func parseRequirements(data []byte) ([]string, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("python: dependencies: not UTF-8 text")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var lines []string
	joined := ""
	for number, line := range strings.Split(text, "\n") {
		if strings.ContainsFunc(line, isBreak) {
			return nil, fmt.Errorf("python: dependencies: line %d: has a control character", number+1)
		}
		line = comment.ReplaceAllString(line, "")
		if before, more := strings.CutSuffix(line, `\`); more {
			joined += before
			continue
		}
		line, joined = strings.TrimSpace(joined+line), ""
		if line == "" {
			continue
		}
		if strings.Contains(line, `\`) {
			return nil, fmt.Errorf("python: dependencies: line %d: has a backslash that does not end it", number+1)
		}
		if err := checkRequirement(line); err != nil {
			return nil, fmt.Errorf("python: dependencies: line %d: %w", number+1, err)
		}
		lines = append(lines, line)
	}
	if joined != "" {
		return nil, fmt.Errorf("python: dependencies: the last line is continued with a backslash")
	}
	return lines, nil
}

// isBreak tells of what Python may take for the end of a line, or, at the
// beginning of a file, for a sign of its encoding.
func isBreak(r rune) bool {
	return r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

func checkRequirement(line string) error {
	// Quotes could hide an option from us but not from pip.
	words := strings.Fields(strings.NewReplacer(`"`, "", `'`, "").Replace(line))
	for i, word := range words {
		name, _, _ := strings.Cut(word, "=")
		isOption := strings.HasPrefix(word, "-")
		switch {
		case strings.Contains(word, "${"):
			return fmt.Errorf("%s: variables are not replaced here", word)
		case isOption && !slices.Contains(requirementOptions, name):
			return fmt.Errorf("%s: not an option that is allowed here: %s", word, strings.Join(requirementOptions, " "))
		case isOption || !localPath(word) || i > 0 && isFindLinks(words[i-1]):
		default:
			return fmt.Errorf("%s: a path of this machine; give a package's name or URL, or wheels by --find-links", word)
		}
	}
	return nil
}

func isFindLinks(word string) bool { return word == "-f" || word == "--find-links" }

// localPath tells whether pip would look for a word among the files here.
func localPath(word string) bool {
	lower := strings.ToLower(word)
	switch {
	case strings.Contains(lower, "file:"):
		return true
	case strings.Contains(lower, "://"):
		return false
	}
	path, _, _ := strings.Cut(lower, ";")
	path, _, _ = strings.Cut(path, "[")
	return strings.ContainsAny(path, `/~`) && !strings.Contains(path, "~=") || strings.HasPrefix(path, ".") || archive.MatchString(path)
}
