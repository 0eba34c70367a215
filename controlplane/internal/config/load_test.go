package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	goodSecret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/=="
	goodPepper = "p1:0123456789abcdefghijklmnopqrstuvwxyz"
	marker     = "hunter2-marker" // what no error may repeat
)

func noFiles(string) ([]byte, error) { return nil, fs.ErrNotExist }

func faultNames(t *testing.T, err error) []string {
	t.Helper()
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("want Faults, got %v", err)
	}
	var names []string
	for _, f := range faults {
		names = append(names, f.Name)
	}
	return names
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load([]string{"DATABASE_URL=", "PATH=/bin"}, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	if !c.DatabaseURL.Empty() || c.Production() || c.Listen != "127.0.0.1:8080" || c.KeyPrefix != "lk" ||
		c.StalenessBudget() != 15*time.Minute || c.MissBudget != (MissBudget{50, 200}) || c.AuthCacheMB != 256 {
		t.Errorf("defaults are off: %+v", c)
	}
}

func TestProductionValues(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/run/secret": goodSecret + "\n"}
	c, err := Load([]string{
		"LATCHKEY_ENV=production", "DATABASE_URL=postgres://u:p@db/latchkey", "SECRET_KEY_FILE=/run/secret",
		"LATCHKEY_PEPPERS=" + goodPepper + ",p0:zyxwvutsrqponmlkjihgfedcba9876543210",
		"TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1", "PUBLIC_URL=https://keys.example.com/", "CORS_ORIGINS=https://App.example.com",
	}, func(path string) ([]byte, error) { return []byte(files[path]), nil })
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":8080" || c.SecretKey.Reveal() != goodSecret || len(c.Peppers) != 2 || c.Peppers[1].ID != "p0" {
		t.Errorf("values are off: %+v", c)
	}
	want := Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	if diff := cmp.Diff([]netip.Prefix(want), []netip.Prefix(c.TrustedProxies), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if c.PublicURL != "https://keys.example.com" || c.CORSOrigins[0] != "https://app.example.com" {
		t.Errorf("addresses are off: %s %v", c.PublicURL, c.CORSOrigins)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	production := []string{"LATCHKEY_ENV=production", "DATABASE_URL=postgres://h/d", "SECRET_KEY=" + goodSecret, "LATCHKEY_PEPPERS=" + goodPepper}
	tests := map[string]struct {
		environ []string
		want    []string
	}{
		"production lacks all":    {[]string{"LATCHKEY_ENV=production"}, []string{"DATABASE_URL", "SECRET_KEY", "LATCHKEY_PEPPERS"}},
		"plain password":          {append(production, "ADMIN_PASSWORD="+marker), []string{"ADMIN_PASSWORD"}},
		"both passwords":          {[]string{"ADMIN_PASSWORD=x", "ADMIN_PASSWORD_HASH=$argon2id$x"}, []string{"ADMIN_PASSWORD"}},
		"both forms":              {append(production, "SECRET_KEY_FILE=/x"), []string{"SECRET_KEY"}},
		"unreadable file":         {[]string{"LATCHKEY_ENV=production", "DATABASE_URL=postgres://h/d", "SECRET_KEY=" + goodSecret, "LATCHKEY_PEPPERS_FILE=" + marker}, []string{"LATCHKEY_PEPPERS_FILE"}},
		"typing error":            {[]string{"LATCHKEY_LISTN=:1"}, []string{"LATCHKEY_LISTN"}},
		"placeholder secret":      {[]string{"SECRET_KEY=" + strings.Repeat("changeme", 9)}, []string{"SECRET_KEY"}},
		"short pepper":            {[]string{"LATCHKEY_PEPPERS=p1:" + marker}, []string{"LATCHKEY_PEPPERS"}},
		"repeated pepper id":      {[]string{"LATCHKEY_PEPPERS=" + goodPepper + "," + goodPepper}, []string{"LATCHKEY_PEPPERS"}},
		"address with path":       {[]string{"CORS_ORIGINS=https://a.example/x"}, []string{"CORS_ORIGINS"}},
		"known, not of this":      {append(production, "LATCHKEY_URL=http://x", "LATCHKEY_TEST_ALL=1", "LATCHKEY_PG_BIN=/x", "LATCHKEY_CA_FILE=/x"), nil},
		"Kubernetes service link": {append(production, "LATCHKEY_SERVICE_HOST=10.0.0.1", "LATCHKEY_PORT=tcp://10.0.0.1:80", "LATCHKEY_PORT_80_TCP_ADDR=10.0.0.1", "LATCHKEY_OPS_SERVICE_PORT_HTTP=1"), nil},
		"everything at once": {
			[]string{"LOG_LEVEL=loud", "LATCHKEY_ENV=x", "AUTH_CACHE_MB=-1", "BOOTSTRAP_OPEN=maybe", "TRUSTED_PROXIES=10.0.0.0/99"},
			[]string{"LATCHKEY_ENV", "BOOTSTRAP_OPEN", "AUTH_CACHE_MB", "TRUSTED_PROXIES", "LOG_LEVEL"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(test.environ, noFiles)
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(test.want, faultNames(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A value put into any variable, the wrong ones too, is repeated by no fault.
func TestFaultsNeverRepeatAValue(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, name := range append(names(), "LATCHKEY_UNKNOWN") {
		for _, form := range []string{name, name + fileSuffix} {
			_, err := Load([]string{form + "=" + marker}, noFiles)
			if err == nil {
				continue
			}
			seen++
			if strings.Contains(fmt.Sprintf("%+v", err), marker) {
				t.Errorf("%s: the fault repeats the value", form)
			}
		}
	}
	if seen < len(names()) {
		t.Errorf("only %d variables were refused", seen)
	}
}

// .env.example and Config name the same variables with the same defaults, in
// the same order.
func TestExampleIsComplete(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, match := range regexp.MustCompile(`(?m)^#?([A-Z_]+=.*)$`).FindAllStringSubmatch(string(example), -1) {
		got = append(got, match[1])
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf(".env.example (-struct +file):\n%s", diff)
	}
}
