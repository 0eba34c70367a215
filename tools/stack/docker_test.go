package stack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile, continued lines joined.
type instruction struct {
	word string
	args []string
}

func dockerfile(t *testing.T, name string) (all []instruction) {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(read(t, name), "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if words := strings.Fields(line); len(words) > 0 {
			all = append(all, instruction{words[0], words[1:]})
		}
	}
	return all
}

var dockerfiles = []string{"controlplane/Dockerfile", "kong/Dockerfile"}

func TestDockerfilesAreTheStacks(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if s.Build == nil {
			continue
		}
		if !slices.Contains(dockerfiles, s.Build.Dockerfile) {
			t.Errorf("%s is built from %s, which no test looks at", name, s.Build.Dockerfile)
			continue
		}
		if s.Build.Target != "" && !slices.ContainsFunc(dockerfile(t, s.Build.Dockerfile), func(i instruction) bool {
			return i.word == "FROM" && i.args[len(i.args)-1] == s.Build.Target
		}) {
			t.Errorf("%s: %s has no stage %s", name, s.Build.Dockerfile, s.Build.Target)
		}
	}
}

// TestDockerfiles looks for what a build would miss, and for versions that drift
// apart.
func TestDockerfiles(t *testing.T) {
	t.Parallel()
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	ignored := strings.Fields(regexp.MustCompile(`(?m)^#.*`).ReplaceAllString(read(t, ".dockerignore"), ""))
	for _, name := range dockerfiles {
		stages := map[string]bool{}
		for _, i := range dockerfile(t, name) {
			switch i.word {
			case "FROM":
				version, isGo := strings.CutPrefix(i.args[0], "golang:")
				if isGo && version != goVersion {
					t.Errorf("%s builds with Go %s, go.mod says %s", name, version, goVersion)
				}
				if i.args[0] != "scratch" && !regexp.MustCompile(`^[a-z]+:[0-9]`).MatchString(i.args[0]) {
					t.Errorf("%s: %s has no version", name, i.args[0])
				}
				stages[i.args[len(i.args)-1]] = len(i.args) == 3
			case "COPY":
				if from, ok := strings.CutPrefix(i.args[0], "--from="); ok {
					if !stages[from] {
						t.Errorf("%s copies from %s, which is no stage before", name, from)
					}
					continue
				}
				for _, source := range i.args[:len(i.args)-1] {
					if _, err := os.Stat(filepath.Join(top, source)); err != nil || slices.Contains(ignored, source) {
						t.Errorf("%s copies %s, which is not there or in .dockerignore", name, source)
					}
				}
			}
		}
	}
}

// TestBuiltPackagesAreThere compares what the images build with the repository.
func TestBuiltPackagesAreThere(t *testing.T) {
	t.Parallel()
	for _, name := range dockerfiles {
		for _, m := range regexp.MustCompile(`go build .* \./(\S+)`).FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(top, m[1], "main.go")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestImagesAreNotRoot: each stage that runs ends as somebody else. Kong's image
// sets its own user, which a stage must not take back.
func TestImagesAreNotRoot(t *testing.T) {
	t.Parallel()
	base, user := "", ""
	end := func(name string) {
		switch {
		case base == "" || strings.HasPrefix(base, "golang:") || strings.HasPrefix(base, "node:"): // builds
		case strings.HasPrefix(base, "kong:") && user == "":
		case user != "10001:10001":
			t.Errorf("%s: the stage from %s runs as %q", name, base, user)
		}
	}
	for _, name := range dockerfiles {
		base = ""
		for _, i := range dockerfile(t, name) {
			switch i.word {
			case "FROM":
				end(name)
				base, user = i.args[0], ""
			case "USER":
				user = i.args[0]
			}
		}
		end(name)
	}
}
