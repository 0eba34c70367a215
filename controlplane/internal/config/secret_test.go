package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// defaults returns NAME=default for every field of Config, in order.
func defaults() []string {
	var all []string
	for field := range reflect.TypeFor[Config]().Fields() {
		all = append(all, field.Tag.Get("env")+"="+field.Tag.Get("envDefault"))
	}
	return all
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	type holder struct {
		hidden  Secret
		config  Config
		pointer *Secret
		Shown   DatabaseURL
	}
	s := NewSecret(marker)
	h := holder{hidden: s, pointer: &s, Shown: DatabaseURL{s}}
	h.config.SecretKey.Secret = s
	h.config.Peppers = Peppers{{ID: "p1", Secret: s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, s, h, &h.config)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("x", "secret", s, "pointer", &s, "holder", h, "config", h.config)
	}
	encoded, err := json.Marshal(map[Secret]any{s: h.config})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	for _, form := range []string{marker, fmt.Sprintf("%x", marker), fmt.Sprint([]byte(marker))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed: %s", out.String())
		}
	}
	if s.Reveal() != marker {
		t.Error("Reveal lost the text")
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	configs := make([]Config, 16)
	var all sync.WaitGroup
	for i := range configs {
		all.Go(func() {
			c, err := Load([]string{"LATCHKEY_DATA_DIR=" + dir}, noFiles)
			if err == nil {
				err = c.EnsureSecrets()
			}
			if err != nil {
				t.Error(err)
			}
			configs[i] = c
		})
	}
	all.Wait()
	for _, c := range configs {
		if c.SecretKey.Reveal() != configs[0].SecretKey.Reveal() || c.Peppers[0].Secret.Reveal() != configs[0].Peppers[0].Secret.Reveal() {
			t.Fatal("two processes read two secrets")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("want two files and no temporary one, got %v, %v", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
	}
}

func TestTornSecretIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, secretKeyFile), []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{DataDir: dir}
	if err := c.EnsureSecrets(); err == nil || strings.Contains(err.Error(), marker) {
		t.Errorf("want a refusal that does not repeat it, got %v", err)
	}
}

// auditChainVector was computed apart from this code, with RFC 5869 in hand.
const auditChainVector = "65ae6410bc00b1e0cd62759121c78f37418d3f32b500ac7eb71020f0ba432b99"

func TestKeysDifferByPurposeAndSecret(t *testing.T) {
	t.Parallel()
	a := Config{SecretKey: SecretKey{NewSecret(goodSecret)}}
	b := Config{SecretKey: SecretKey{NewSecret(goodSecret + "x")}}
	if a.Key("audit chain") != a.Key("audit chain") {
		t.Error("a derived key is not stable")
	}
	if a.Key("audit chain") == a.Key("session") || a.Key("audit chain") == b.Key("audit chain") {
		t.Error("derived keys are not independent")
	}
	if got := fmt.Sprintf("%x", a.Key("audit chain")); got != auditChainVector {
		t.Errorf("the derivation changed, which loses everything made with it: %s", got)
	}
}

func TestKeyWithoutSecretPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a key was derived from nothing")
		}
	}()
	(&Config{}).Key("x")
}
