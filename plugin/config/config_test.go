package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load reads with files instead of a file system.
func load(files map[string]string, environ ...string) (Config, error) {
	return Load(Sources{
		Environ: environ,
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
		Hostname: func() (string, error) { return "kong-1", nil },
	})
}

const controlURL, token = "LATCHKEY_URL=https://keys.example.com", "LATCHKEY_EDGE_TOKEN=lkm_secret"

func TestLoad(t *testing.T) {
	t.Parallel()
	least := Config{URLs: "https://keys.example.com", Gateway: "kong-1", StaleBudget: 15 * time.Minute, CacheMB: 256}
	type file = map[string]string
	for name, tc := range map[string]struct {
		files   file
		environ []string
		change  func(*Config)
		token   string
	}{
		"least":             {nil, []string{controlURL, token}, nil, "lkm_secret"},
		"empty is absent":   {nil, []string{controlURL, token, "AUTH_CACHE_MB=", "LOG_LEVEL="}, nil, "lkm_secret"},
		"a stranger's":      {nil, []string{controlURL, token, "DATABASE_URL=x", "PWD=/"}, nil, "lkm_secret"},
		"token in a file":   {nil, []string{controlURL, "LATCHKEY_EDGE_TOKEN_FILE=/later"}, func(c *Config) { c.TokenFile = "/later" }, ""},
		"own budget wins":   {nil, []string{controlURL, token, "AUTH_CACHE_TTL_SECONDS=60", "LATCHKEY_MAX_STALE=2m"}, func(c *Config) { c.StaleBudget = 2 * time.Minute }, "lkm_secret"},
		"never stale":       {nil, []string{controlURL, token, "AUTH_CACHE_TTL_SECONDS=0"}, func(c *Config) { c.StaleBudget = 0 }, "lkm_secret"},
		"loopback":          {nil, []string{"LATCHKEY_URL=http://127.0.0.1:8080, http://[::1]", token}, func(c *Config) { c.URLs = "http://127.0.0.1:8080, http://[::1]" }, "lkm_secret"},
		"http by leave":     {nil, []string{"LATCHKEY_URL=http://latchkey:8080", "LATCHKEY_ALLOW_HTTP=true", token}, func(c *Config) { c.URLs, c.AllowHTTP = "http://latchkey:8080", true }, "lkm_secret"},
		"certificates":      {file{"/ca.pem": "pem"}, []string{controlURL, token, "LATCHKEY_CA_FILE=/ca.pem"}, func(c *Config) { c.CAFile = "/ca.pem" }, "lkm_secret"},
		"default file":      {file{DefaultFile: controlURL + "\n" + token}, nil, nil, "lkm_secret"},
		"another file":      {file{"/e": "# a comment\r\n\n export " + controlURL + "\r\n LATCHKEY_EDGE_TOKEN = \"lkm_secret\"\nLATCHKEY_GATEWAY_NAME='a b'"}, []string{"LATCHKEY_CONFIG=/e"}, func(c *Config) { c.Gateway = "a b" }, "lkm_secret"},
		"environment wins":  {file{DefaultFile: "LATCHKEY_EDGE_TOKEN_FILE=/t\nAUTH_CACHE_MB=1"}, []string{controlURL, token, "AUTH_CACHE_MB=2"}, func(c *Config) { c.CacheMB = 2 }, "lkm_secret"},
		"value from a file": {file{"/u": "https://keys.example.com\n"}, []string{"LATCHKEY_URL_FILE=/u", token}, nil, "lkm_secret"},
		"snapshot":          {nil, []string{controlURL, token, "LATCHKEY_SNAPSHOT=/var/lib/s"}, func(c *Config) { c.Snapshot = "/var/lib/s" }, "lkm_secret"},
		"metrics":           {nil, []string{controlURL, token, "LATCHKEY_METRICS_LISTEN=:9465"}, func(c *Config) { c.MetricsListen = ":9465" }, "lkm_secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(tc.files, tc.environ...)
			if err != nil {
				t.Fatal(err)
			}
			want := least
			if tc.change != nil {
				tc.change(&want)
			}
			if got.Token.Reveal() != tc.token {
				t.Error("another token")
			}
			want.Token, got.Token = Secret{}, Secret{}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Secret{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every fault is named at once, in one line that repeats no value.
func TestFaults(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/e": "LATCHKEY_URL\nLATCHKEY_TOKEN=hunter2\n", "/empty": "\n"}
	for name, tc := range map[string]struct {
		environ []string
		want    []string // names
	}{
		"nothing": {nil, []string{"LATCHKEY_URL", "LATCHKEY_EDGE_TOKEN"}},
		"everything": {[]string{
			"LATCHKEY_URL=hunter2", "LATCHKEY_EDGE_TOKEN=hunter2 hunter2", "LATCHKEY_GATEWAY_NAME=hunter2\x01", "LATCHKEY_ALLOW_HTTP=hunter2",
			"AUTH_CACHE_TTL_SECONDS=hunter2", "LATCHKEY_MAX_STALE=hunter2", "LATCHKEY_SNAPSHOT=hunter2", "AUTH_CACHE_MB=hunter2", "LOG_LEVEL=hunter2",
			"LATCHKEY_METRICS_LISTEN=hunter2", "LATCHKEY_CA_FILE=hunter2", "LATCHKEY_CONFIG=hunter2",
		}, []string{
			"LATCHKEY_CONFIG", "LATCHKEY_ALLOW_HTTP", "LATCHKEY_URL", "LATCHKEY_CA_FILE", "LATCHKEY_GATEWAY_NAME",
			"AUTH_CACHE_TTL_SECONDS", "LATCHKEY_MAX_STALE", "LATCHKEY_SNAPSHOT", "AUTH_CACHE_MB", "LOG_LEVEL", "LATCHKEY_METRICS_LISTEN", "LATCHKEY_EDGE_TOKEN",
		}},
		"plain HTTP":        {[]string{"LATCHKEY_URL=https://a,http://10.0.0.1", token}, []string{"LATCHKEY_URL"}},
		"password in it":    {[]string{"LATCHKEY_URL=https://u:hunter2@a", token}, []string{"LATCHKEY_URL"}},
		"both forms":        {[]string{controlURL, token, "LATCHKEY_EDGE_TOKEN_FILE=/x"}, []string{"LATCHKEY_EDGE_TOKEN"}},
		"budget over a day": {[]string{controlURL, token, "LATCHKEY_MAX_STALE=25h"}, []string{"LATCHKEY_MAX_STALE"}},
		"lines of the file": {[]string{controlURL, token, "LATCHKEY_CONFIG=/e"}, []string{"LATCHKEY_CONFIG", "LATCHKEY_CONFIG"}},
		"files": {[]string{controlURL, token, "AUTH_CACHE_MB_FILE=/hunter2", "LOG_LEVEL_FILE=/empty"},
			[]string{"AUTH_CACHE_MB_FILE", "LOG_LEVEL_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(files, tc.environ...)
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			var got []string
			for _, f := range faults {
				name, _, _ := strings.Cut(f, ": want ")
				got = append(got, name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("not one line, or a value in it: %q", err)
			}
		})
	}
}

func TestTokenCannotBePrinted(t *testing.T) {
	t.Parallel()
	c, err := load(nil, controlURL, token)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Token); strings.Contains(all, "lkm_secret") {
		t.Error(all)
	}
}
