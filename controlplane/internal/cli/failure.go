package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

const codeUsage fault.Code = "USAGE"

// errReported ends a command whose output has said already what is wrong.
var errReported = errors.New("cli: reported")

// failure is an error as programs read it, in the words of the API's problems.
type failure struct {
	Code   fault.Code `json:"code"`
	Detail string     `json:"detail"`
	Fix    string     `json:"fix,omitempty"`
	Errors []badValue `json:"errors,omitempty"`
}

// badValue is one wrong value: a flag or a variable, and what would be right.
type badValue struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// fail tells what went wrong. Unlike a client of the API, an operator also sees
// the cause.
func (s *session) fail(err error) {
	f := failureOf(err)
	if s.json {
		_ = writeJSON(s.env.Stderr, f) // there is nowhere left to say that this failed
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "latchkey: %s", f.Detail)
	between := ":\n"
	for _, e := range f.Errors {
		if e.Message != f.Detail {
			fmt.Fprintf(&b, "%s  %s: %s", between, e.Location, e.Message)
			between = "\n"
		}
	}
	b.WriteString("\n")
	if f.Fix != "" {
		fmt.Fprintf(&b, "fix: %s\n", f.Fix)
	}
	_, _ = s.env.Stderr.Write([]byte(b.String()))
}

func failureOf(err error) failure {
	if faults, ok := errors.AsType[config.Faults](err); ok {
		f := failure{Code: fault.CodeInvalid, Detail: "the configuration is not right", Fix: "set these variables; .env.example explains each"}
		for _, one := range faults {
			f.Errors = append(f.Errors, badValue{Location: one.Name, Message: one.Want})
		}
		return f
	}
	known, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return failure{Code: fault.CodeInternal, Detail: oneLine(err.Error())}
	}
	f := failure{Code: known.Code, Detail: oneLine(err.Error()), Fix: known.Fix}
	if len(known.Fields) > 0 {
		f.Detail = known.Message
	}
	for _, field := range known.Fields {
		f.Errors = append(f.Errors, badValue{Location: flagOf(field.Location), Message: field.Message})
	}
	return f
}

// oneLine joins the lines that an error of several has, each once: a driver that
// tried the same address twice says so twice.
func oneLine(text string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || seen[line] {
			continue
		}
		switch seen[line] = true; {
		case strings.HasSuffix(b.String(), ":"):
			b.WriteString(" ")
		case b.Len() > 0:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// flags are the members of the API's bodies whose flag has another name.
var flags = map[string]string{
	"scopes": "--scope", "tags": "--tag", "allow_cidrs": "--allow-cidr", "owner_id": "--owner",
	"environment": "--env", "kind": "--management",
}

// flagOf turns where a value stands in the API, such as body.scopes[0], into the
// flag that it came from.
func flagOf(location string) string {
	member, found := strings.CutPrefix(location, "body.")
	if !found {
		return location
	}
	member, _, _ = strings.Cut(member, "[")
	if flag, ok := flags[member]; ok {
		return flag
	}
	return "--" + strings.ReplaceAll(member, "_", "-")
}

// keyShaped matches what may be a key of any installation: who pastes one where
// it does not belong shall not find it in a log as well.
var keyShaped = regexp.MustCompile(`\b[a-z][a-z0-9]{0,16}_(live_|test_)?[0-9A-Za-z]{38}\b`)

func withoutKeys(text string) string { return keyShaped.ReplaceAllString(text, "(a key)") }
