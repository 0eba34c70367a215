package stack

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// top is the repository, seen from here.
const top = "../.."

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// project is docker-compose.yml as Compose understands it, in an empty
// environment, with the services of every profile.
func project(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(top, "docker-compose.yml")}, cli.WithDefaultProfiles("*"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// oneShot reports whether a service is there to end.
func oneShot(s types.ServiceConfig) bool { return s.Restart == types.RestartPolicyNo }

// pinned is an image with a version, or one that is built here.
var pinned = regexp.MustCompile(`^[a-z-]+:([0-9]+(\.[0-9]+)*|local)$`)

func TestServicesAreConfined(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged ||
			!slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it needs", name)
		}
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no version", name, s.Image)
		}
		if (s.User == "0:0") != oneShot(s) {
			t.Errorf("%s: root is for one-shot services alone, which write into new volumes", name)
		}
		if !oneShot(s) && (s.Restart != types.RestartPolicyUnlessStopped || s.HealthCheck == nil || len(s.HealthCheck.Test) == 0) {
			t.Errorf("%s: want a health check and a restart", name)
		}
	}
}

func TestImagesAreBuiltOnce(t *testing.T) {
	t.Parallel()
	built := map[string]string{}
	services := project(t).Services
	for name, s := range services {
		if s.Build == nil {
			continue
		}
		if other, twice := built[s.Image]; twice {
			t.Errorf("%s and %s both build %s", name, other, s.Image)
		}
		built[s.Image] = name
	}
	for name, s := range services {
		local := strings.HasSuffix(s.Image, ":local")
		if _, ok := built[s.Image]; local != ok || local && s.Build == nil && s.PullPolicy != types.PullPolicyNever {
			t.Errorf("%s: %s is to be built here and never pulled, or pulled by its version", name, s.Image)
		}
	}
}

// TestStartOrder asks for conditions that can be met: who is waited for to be
// healthy has a health check, who is waited for to end is one that ends. Compose's
// loader has looked for circles.
func TestStartOrder(t *testing.T) {
	t.Parallel()
	services := project(t).Services
	for name, s := range services {
		for other, dependency := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if oneShot(services[other]) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if dependency.Condition != want || !dependency.Required {
				t.Errorf("%s waits for %s to be %s, want %s", name, other, dependency.Condition, want)
			}
		}
	}
	for name, before := range map[string][]string{
		"setup": {}, "postgres": {"setup"}, "edge-token": {"postgres"},
		"control-plane": {"edge-token", "postgres"}, "echo": {}, "kong": {"control-plane", "echo"},
	} {
		if got := slices.Sorted(maps.Keys(services[name].DependsOn)); !slices.Equal(got, before) {
			t.Errorf("%s waits for %v, want %v", name, got, before)
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	p := project(t)
	reach := map[string][]string{}
	for name, s := range p.Services {
		if len(s.Networks) == 0 && s.NetworkMode != "none" {
			t.Errorf("%s is on no network of its concern", name)
		}
		for network := range s.Networks {
			reach[network] = append(reach[network], name)
			slices.Sort(reach[network])
		}
	}
	for network, want := range map[string]struct {
		internal bool
		members  []string
	}{
		"db":      {true, []string{"control-plane", "edge-token", "postgres"}},
		"control": {false, []string{"control-plane", "kong"}},
		"edge":    {true, []string{"echo", "kong"}},
	} {
		if !slices.Equal(reach[network], want.members) || p.Networks[network].Internal != want.internal {
			t.Errorf("%s: %v, internal %v", network, reach[network], p.Networks[network].Internal)
		}
	}
	if len(p.Networks) != 3 {
		t.Errorf("%d networks, want one per concern", len(p.Networks))
	}
}

func TestPublishedOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for name, s := range project(t).Services {
		for _, port := range s.Ports {
			got[name] += port.HostIP + ":" + port.Published
		}
	}
	want := map[string]string{"kong": "127.0.0.1:8000", "control-plane": "127.0.0.1:8080"}
	if !maps.Equal(got, want) {
		t.Errorf("published: %v, want %v", got, want)
	}
}

// TestMounts looks for what is mounted from the repository, and that a volume is
// written by one service and read only by those whom its content is for.
func TestMounts(t *testing.T) {
	t.Parallel()
	used := map[string][]string{}
	for name, s := range project(t).Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
					t.Errorf("%s: %s is not there, or may be written to: %v", name, v.Source, err)
				}
				continue
			}
			if !v.ReadOnly {
				name += " writes"
			}
			used[v.Source] = append(used[v.Source], name)
			slices.Sort(used[v.Source])
			name = s.Name
		}
	}
	for volume, want := range map[string][]string{
		"database":        {"postgres writes"},
		"database-secret": {"postgres", "setup writes"},
		"control-secrets": {"control-plane", "edge-token", "setup writes"},
		"edge-token":      {"edge-token writes", "kong"},
	} {
		if !slices.Equal(used[volume], want) {
			t.Errorf("%s: %v, want %v", volume, used[volume], want)
		}
	}
	if len(used) != 4 {
		t.Errorf("volumes in use: %v", used)
	}
}

// TestVariables compares what our own programs are given with what they know, and
// finds secrets that stand in the file itself.
func TestVariables(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]+)=`).FindAllStringSubmatch(read(t, ".env.example"), -1) {
		known[m[1]] = true
	}
	for name, s := range project(t).Services {
		for variable, value := range s.Environment {
			bare, isFile := strings.CutSuffix(variable, "_FILE")
			if s.Image == "latchkey:local" && !known[variable] && !known[bare] {
				t.Errorf("%s: latchkey knows no %s", name, variable)
			}
			if isFile && !beneathMount(s, *value) {
				t.Errorf("%s: %s is in no volume of this service", name, variable)
			}
			if !isFile && regexp.MustCompile(`SECRET|PASSWORD|PEPPER|TOKEN|DATABASE_URL`).MatchString(variable) {
				t.Errorf("%s: %s belongs into a file that setup makes", name, variable)
			}
		}
	}
}

// beneathMount reports whether a path of a service is in one of its volumes.
func beneathMount(s types.ServiceConfig, path string) bool {
	return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeVolume && filepath.Dir(path) == v.Target
	})
}
