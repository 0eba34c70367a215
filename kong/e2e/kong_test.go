//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// The table through the Kong of kong/Dockerfile. It shares this machine's
// network, so that all there is stays on loopback: the test is its upstream and
// its control plane. That wants Docker's engine here, on Linux and not rootless.
func TestCasesThroughKong(t *testing.T) {
	t.Setenv("CGO_ENABLED", "0") // the probes are built here and run in the image
	const image = "latchkey-kong:e2e"
	docker(t.Context(), t, "build", "-q", "-t", image, "-f", "kong/Dockerfile", ".")
	through(t, func(t *testing.T, s setting) string {
		address := freeAddress(t)
		name := fmt.Sprintf("latchkey-e2e-%d", os.Getpid())
		args := []string{"run", "-d", "--name", name, "--network", "host"}
		for file, text := range map[string][]byte{
			"/etc/latchkey/gateway.env": lines(s.environment),
			"/e2e/kong.json":            s.config,
		} {
			args = append(args, "-v", written(t, filepath.Base(file), text)+":"+file+":ro,z")
		}
		environment := kongEnvironment(address)
		for _, probe := range []string{cases.ProbeOwn, cases.ProbePDK} {
			args = append(args, "-v", kongtest.Build(t, plugins[probe], probe)+":/e2e/"+probe+":ro,z")
			variable := "KONG_PLUGINSERVER_" + strings.ToUpper(strings.ReplaceAll(probe, "-", "_"))
			environment[variable+"_START_CMD"] = "/e2e/" + probe
			environment[variable+"_QUERY_CMD"] = "/e2e/" + probe + " -dump"
		}
		for _, variable := range slices.Sorted(maps.Keys(environment)) {
			args = append(args, "-e", variable+"="+environment[variable])
		}
		afterwards(t, func(ctx context.Context) { docker(ctx, t, "rm", "-f", "-v", name) })
		afterwards(t, func(ctx context.Context) {
			if t.Failed() {
				t.Logf("%s", docker(ctx, t, "logs", "--tail", "200", name))
			}
		})
		docker(t.Context(), t, append(args, image)...)
		return address
	})
}

// afterwards runs at the test's end, the last one first.
func afterwards(t *testing.T, run func(context.Context)) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		run(ctx)
	})
}

// kongEnvironment adds to what the image says. One worker takes a change of
// configuration at once; the PROXY protocol gives each request the client's
// address that its case asks for.
func kongEnvironment(address string) map[string]string {
	names := strings.Join([]string{plugin, cases.ProbeOwn, cases.ProbePDK}, ",")
	return map[string]string{
		"KONG_DATABASE": "off", "KONG_DECLARATIVE_CONFIG": "/e2e/kong.json",
		"KONG_PLUGINS": "bundled," + names, "KONG_PLUGINSERVER_NAMES": names,
		"KONG_PROXY_LISTEN": address + " proxy_protocol", "KONG_REAL_IP_HEADER": "proxy_protocol", "KONG_TRUSTED_IPS": "0.0.0.0/0,::/0",
		"KONG_ADMIN_LISTEN": "off", "KONG_ADMIN_GUI_LISTEN": "off", "KONG_STATUS_LISTEN": "off",
		"KONG_NGINX_WORKER_PROCESSES": "1", "KONG_ANONYMOUS_REPORTS": "off",
		// nginx's own limit, 8 KiB, would keep the longest requests from the plugin.
		"KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS": "8 64k",
	}
}

// docker runs Docker's client at the top of the repository and returns what it
// prints.
func docker(ctx context.Context, t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return out
}

// written is a file that Kong's user in a container can read.
func written(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o444); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

// lines is a file of variables.
func lines(variables map[string]string) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(&b, "%s=%s\n", name, variables[name])
	}
	return b.Bytes()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
