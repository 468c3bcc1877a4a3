package kind

import (
	"fmt"
	"log/slog"
	"strings"

	"sigs.k8s.io/kind/pkg/log"
)

// logger hands what kind says to our log.
type logger struct{ to *slog.Logger }

func (l logger) Warn(s string)                { l.to.Warn(plain(s)) }
func (l logger) Warnf(f string, args ...any)  { l.Warn(fmt.Sprintf(f, args...)) }
func (l logger) Error(s string)               { l.to.Error(plain(s)) }
func (l logger) Errorf(f string, args ...any) { l.Error(fmt.Sprintf(f, args...)) }

// V is what a level is logged with: steps are, details are not.
func (l logger) V(level log.Level) log.InfoLogger { return infoLogger{l.to, level == 0} }

type infoLogger struct {
	to *slog.Logger
	on bool
}

func (l infoLogger) Enabled() bool { return l.on }

func (l infoLogger) Info(s string) {
	if l.on {
		l.to.Info(plain(s))
	}
}

func (l infoLogger) Infof(f string, args ...any) { l.Info(fmt.Sprintf(f, args...)) }

// plain is a message without what is there for the eye.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r > 0x2000 || r == '\n' {
			return ' '
		}
		return r
	}, s))
}
