package apikey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestMadeTokensParse(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for prefix, want := range map[string]Prefixes{"lk": {"lk"}, "acme2": {"lk", "acme2"}} {
		for _, c := range []struct {
			kind  Kind
			env   Environment
			start int
		}{{KindAPI, Live, 6}, {KindAPI, Test, 6}, {KindManagement, AnyEnvironment, 2}, {KindSetup, AnyEnvironment, 2}} {
			for range 100 {
				s := NewSecret(prefix, c.kind, c.env)
				plain := s.Reveal()
				token, ok := want.Parse(plain)
				if !ok || token != (Token{c.kind, c.env, s.Fingerprint()}) {
					t.Fatalf("%v %v: got %v, %v", c.kind, c.env, token, ok)
				}
				if len(s.Start()) != len(prefix)+c.start+StartBody || !strings.HasPrefix(plain, s.Start()) || !strings.HasSuffix(plain, s.Last4()) || len(s.Last4()) != 4 {
					t.Fatalf("%v %v: start and end are wrong", c.kind, c.env)
				}
				if seen[plain] {
					t.Fatal("made twice")
				}
				seen[plain] = true
			}
		}
	}
}

// TestBodiesAreUniform: chi-squared with 61 degrees of freedom stays under 150
// but once in 10⁹ runs. A modulo of a whole byte would come to about 700.
func TestBodiesAreUniform(t *testing.T) {
	t.Parallel()
	counts := map[byte]int{}
	const secrets = 4000
	for range secrets {
		plain := NewSecret("lk", KindAPI, Live).Reveal()
		for i := range bodyLen {
			counts[plain[len("lk_live_")+i]]++
		}
	}
	expected, chi := float64(secrets*bodyLen)/62, 0.0
	for i := range alphabet {
		d := float64(counts[alphabet[i]]) - expected
		chi += d * d / expected
	}
	if len(counts) != 62 || chi > 150 {
		t.Errorf("%d digits, chi-squared %v", len(counts), chi)
	}
}

// TestASecretNeverPrints, however it is wrapped.
func TestASecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := NewSecret("lk", KindAPI, Live)
	type exported struct{ Secret Secret }
	type hidden struct{ secret Secret }
	type embedded struct{ Secret }
	values := map[string]any{
		"itself": s, "a pointer": &s, "in a field": exported{s}, "in a hidden field": hidden{s},
		"behind a pointer to a hidden field": &hidden{s}, "embedded": embedded{s}, "in a slice": []Secret{s},
		"in a hidden slice": struct{ s []hidden }{[]hidden{{s}}}, "in a map": map[string]Secret{"k": s}, "as a key": map[Secret]int{s: 1},
		"in an interface": struct{ v any }{s},
	}
	plain := s.Reveal()
	for name, v := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%!"} {
			fmt.Fprintf(&out, verb, v)
		}
		fmt.Fprint(&out, v, fmt.Errorf("failed: %v", v), errors.Join(fmt.Errorf("%+v", v)))
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("m", "v", v, slog.Group("g", "v", v))
		}
		for _, leak := range []string{plain, plain[8:40], fmt.Sprintf("%x", plain), fmt.Sprintf("%X", plain)} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%s: printed", name)
			}
		}
	}
	if (Secret{}).Reveal() != "" {
		t.Error("a zero secret reveals something")
	}
}
