package stack

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver/v4"
	"github.com/kong/go-database-reconciler/pkg/dump"
	"github.com/kong/go-database-reconciler/pkg/file"
	"github.com/kong/go-database-reconciler/pkg/state"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/plugin/access"
	"github.com/latchkey/latchkey/plugin/config"
)

const plugin = "latchkey-auth"

// declared is kong.yml as Kong's reconciler understands it.
func declared(t *testing.T) *file.Content {
	t.Helper()
	content, err := file.GetContentFromFiles([]string{filepath.Join(top, "kong/kong.yml")}, false)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestDeclaration builds what Kong would build: names that are given twice and
// references into nothing are found.
func TestDeclaration(t *testing.T) {
	t.Parallel()
	content := declared(t)
	if content.FormatVersion != "3.0" {
		t.Errorf("_format_version %q: Kong 3.9 reads 3.0", content.FormatVersion)
	}
	empty, err := state.NewKongState()
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Get(t.Context(), content, file.RenderConfig{CurrentState: empty, KongVersion: semver.MustParse("3.9.0")}, dump.Config{}, nil)
	if err != nil {
		t.Error(err)
	}
}

// TestRoutes checks what the reconciler leaves to Kong.
func TestRoutes(t *testing.T) {
	t.Parallel()
	services, reachable := declared(t).Services, 0
	compose := project(t).Services
	for _, s := range services {
		if s.Host == nil || s.Port == nil || *s.Protocol != "http" {
			t.Errorf("%s: want the http address of a service", *s.Name)
			continue
		}
		upstream, ok := compose[*s.Host]
		if _, shared := upstream.Networks["edge"]; !ok || !shared {
			t.Errorf("%s: there is no service %s that Kong reaches", *s.Name, *s.Host)
		}
		for _, r := range s.Routes {
			reachable++
			for _, p := range r.Protocols {
				if *p != "http" && *p != "https" {
					t.Errorf("%s: protocol %s", *r.Name, *p)
				}
			}
			if len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(p *string) bool { return !strings.HasPrefix(*p, "/") }) {
				t.Errorf("%s: paths start with a slash", *r.Name)
			}
			if len(r.Plugins) != 1 || *r.Plugins[0].Name != plugin {
				t.Errorf("%s is not protected", *r.Name)
			}
		}
	}
	if reachable == 0 {
		t.Error("there is no route")
	}
}

// TestPolicies puts each policy before both who can refuse it: Kong, by the
// plugin's description, and the plugin, by its own rules.
func TestPolicies(t *testing.T) {
	t.Parallel()
	description := describe(t)
	for _, s := range declared(t).Services {
		for _, r := range s.Routes {
			for _, p := range r.Plugins {
				if err := description.Check(p.Config); err != nil {
					t.Errorf("Kong refuses %s: %v", *r.Name, err)
				}
				policy, err := json.Marshal(p.Config)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := new(access.Gate).Configure(policy); err != nil {
					t.Errorf("the plugin refuses %s: %v", *r.Name, err)
				}
				scopes, _ := p.Config["scopes"].([]any)
				if len(scopes) == 0 {
					t.Errorf("%s admits every live key", *r.Name)
				}
			}
		}
	}
}

// describe builds the plugin and asks it, as Kong does when it starts.
func describe(t *testing.T) kongtest.Dump {
	t.Helper()
	binary := filepath.Join(t.TempDir(), plugin)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./plugin")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "-dump", "-kong-prefix", "/run/kong").Output()
	if err != nil {
		t.Fatal(err)
	}
	d, err := kongtest.ParseDump(out)
	if err != nil {
		t.Fatal(err)
	}
	if d.Plugins[0].Name != plugin || d.SocketPath != "/run/kong/"+plugin+".socket" {
		t.Fatalf("%s at %s", d.Plugins[0].Name, d.SocketPath)
	}
	return d
}

// TestPluginServer compares how Kong starts the plugin with where it is: image,
// prefix and socket must say the same, and no command may hold a secret, for
// every process on the machine sees it.
func TestPluginServer(t *testing.T) {
	t.Parallel()
	image := read(t, "kong/Dockerfile")
	kong := project(t).Services["kong"]
	set := func(name string) string {
		if v := kong.Environment["KONG_"+name]; v != nil {
			return *v
		}
		m := regexp.MustCompile(`\bKONG_` + name + `=("[^"]*"|\S+)`).FindStringSubmatch(image)
		if m == nil {
			return ""
		}
		return strings.Trim(m[1], `"`)
	}
	const path = "/usr/local/bin/" + plugin
	if !strings.Contains(image, "\nCOPY --from=build /out/"+plugin+" "+path+"\n") {
		t.Errorf("the image has no %s", path)
	}
	prefix := set("PREFIX")
	for name, want := range map[string]string{
		"PLUGINS":                              "bundled," + plugin,
		"PLUGINSERVER_NAMES":                   plugin,
		"PLUGINSERVER_LATCHKEY_AUTH_SOCKET":    prefix + "/" + plugin + ".socket",
		"PLUGINSERVER_LATCHKEY_AUTH_START_CMD": path + " -kong-prefix " + prefix,
		"PLUGINSERVER_LATCHKEY_AUTH_QUERY_CMD": path + " -dump -kong-prefix " + prefix,
		"DATABASE":                             "off",
		"ADMIN_LISTEN":                         "off",
	} {
		if got := set(name); got != want {
			t.Errorf("KONG_%s=%q, want %q", name, got, want)
		}
	}
	if !slices.Contains(kong.Tmpfs, prefix) {
		t.Errorf("Kong cannot write to its prefix %q", prefix)
	}
	mounted := map[string]string{}
	for _, v := range kong.Volumes {
		mounted[v.Target] = filepath.Base(v.Source)
	}
	if mounted[set("DECLARATIVE_CONFIG")] != "kong.yml" || mounted[config.DefaultFile] != "gateway.env" {
		t.Errorf("kong.yml and gateway.env are not where they are looked for: %v", mounted)
	}
}

// TestGatewayFile has the plugin read the file, with nothing around it as in Kong.
func TestGatewayFile(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Sources{
		ReadFile: func(path string) ([]byte, error) {
			if path != config.DefaultFile {
				return nil, os.ErrNotExist
			}
			return []byte(read(t, "kong/gateway.env")), nil
		},
		Hostname: func() (string, error) { return "kong", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	services := project(t).Services
	if !beneathMount(services["kong"], c.TokenFile) || c.Token.Reveal() != "" {
		t.Errorf("the edge token is to come from the volume, not from %q", c.TokenFile)
	}
	u, err := url.Parse(c.URLs)
	if err != nil {
		t.Fatal(err)
	}
	controlPlane, ok := services[u.Hostname()]
	if _, shared := controlPlane.Networks["control"]; !ok || !shared || u.Port() != "8080" {
		t.Errorf("there is no control plane at %s", c.URLs)
	}
}
