package stack

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/plugin/config"
	"github.com/latchkey/latchkey/shared/apikey"
)

// table returns the names in backquotes in the first column of the table of
// docs/kong.md with that heading, and the rest of each row.
func table(t *testing.T, heading string) (names []string, rest map[string]string) {
	t.Helper()
	_, text, found := strings.Cut(read(t, "docs/kong.md"), "\n| "+heading+" |")
	if !found {
		t.Fatalf("docs/kong.md has no table of %s", heading)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	rest = map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)$").FindAllStringSubmatch(text, -1) {
		names = append(names, row[1])
		rest[row[1]] = row[2]
	}
	return names, rest
}

func TestGuideKnowsEveryField(t *testing.T) {
	t.Parallel()
	documented, _ := table(t, "field")
	var fields []string
	for _, m := range regexp.MustCompile(`json:"([a-z_]+)"`).FindAllStringSubmatch(read(t, "plugin/access/policy.go"), -1) {
		fields = append(fields, m[1])
	}
	if !slices.Equal(documented, fields) {
		t.Errorf("docs/kong.md: %v\nthe policy: %v", documented, fields)
	}
}

// TestGuideKnowsEveryVariable gives the plugin each variable that the guide names,
// and looks for each that the plugin names in the guide.
func TestGuideKnowsEveryVariable(t *testing.T) {
	t.Parallel()
	documented, _ := table(t, "variable")
	_, list, _ := strings.Cut(read(t, "plugin/config/variables.go"), "var names = []string{")
	list, _, _ = strings.Cut(list, "}")
	var known []string
	for _, m := range regexp.MustCompile(`"([A-Z_]+)"`).FindAllStringSubmatch(list, -1) {
		known = append(known, m[1])
	}
	known = append(known, "LATCHKEY_CONFIG")
	slices.Sort(known)
	slices.Sort(documented)
	if !slices.Equal(documented, known) {
		t.Errorf("docs/kong.md: %v\nthe plugin: %v", documented, known)
	}
	for _, name := range documented {
		_, err := config.Load(config.Sources{
			ReadFile: func(path string) ([]byte, error) {
				if path != config.DefaultFile {
					return nil, os.ErrNotExist
				}
				return []byte(name + "=x\n"), nil
			},
			Hostname: func() (string, error) { return "kong", nil },
		})
		unknown := err != nil && strings.Contains(err.Error(), "LATCHKEY_CONFIG")
		if unknown != (name == "LATCHKEY_CONFIG") {
			t.Errorf("%s in the file: %v", name, err)
		}
	}
}

func TestGuideKnowsEveryCode(t *testing.T) {
	t.Parallel()
	documented, rows := table(t, "code")
	want := []string{"INTERNAL", "BAD_CONNECTION_HEADER"} // of the gateway itself
	for _, c := range apikey.Codes() {
		if c == apikey.Valid {
			continue
		}
		want = append(want, c.String())
		if !strings.HasPrefix(rows[c.String()], " "+strconv.Itoa(c.Status())+" ") {
			t.Errorf("%s is %d", c, c.Status())
		}
	}
	slices.Sort(want)
	slices.Sort(documented)
	if !slices.Equal(documented, want) {
		t.Errorf("docs/kong.md: %v\nthe codes: %v", documented, want)
	}
}

func TestGuideKnowsEveryHeader(t *testing.T) {
	t.Parallel()
	documented, _ := table(t, "header")
	_, list, _ := strings.Cut(read(t, "plugin/access/identity.go"), "var identity = [identities]string{")
	list, _, _ = strings.Cut(list, "\n}")
	var set []string
	for _, m := range regexp.MustCompile(`"([A-Za-z-]+)"`).FindAllStringSubmatch(list, -1) {
		set = append(set, m[1])
	}
	if len(set) == 0 || !slices.Equal(documented, set) {
		t.Errorf("docs/kong.md: %v\nthe plugin: %v", documented, set)
	}
}
