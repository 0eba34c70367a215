package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/latchkey/latchkey/controlplane/internal/app"
)

type versionCmd struct{}

// about says what this program was built of.
type about struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit"` // "" where it was not built from a checkout
}

// Run prints the version.
func (versionCmd) Run(s *session) error {
	a := about{Version: s.env.Version, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				a.Commit = setting.Value
			}
		}
	}
	return s.print(a, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "latchkey %s (%s", a.Version, a.Go)
		if a.Commit != "" {
			_, _ = fmt.Fprintf(w, ", commit %.12s", a.Commit)
		}
		_, _ = fmt.Fprintln(w, ")")
	})
}

type openAPICmd struct{}

// Run prints the document, which needs no database and no configuration.
func (openAPICmd) Run(s *session) error {
	document, err := app.Document()
	if err != nil {
		return err
	}
	text := document.YAML
	if s.json {
		text = document.JSON
	}
	_, err = s.env.Stdout.Write(text)
	return err
}
