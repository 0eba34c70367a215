package apikey

import (
	"strings"
	"testing"
)

const (
	vector            = "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"
	vectorFingerprint = "57cf1e225a9428c8af985c5dc0dc2092ed90e05e871b99197c67ccc71a9a5d9a"
)

func TestVectorOfTheFormat(t *testing.T) {
	t.Parallel()
	token, ok := Prefixes{"lk"}.Parse(vector)
	if !ok {
		t.Fatal("the documented vector does not parse")
	}
	if token.Kind != KindAPI || token.Environment != Live || token.Fingerprint.String() != vectorFingerprint {
		t.Errorf("got %v %v %v", token.Kind, token.Environment, token.Fingerprint)
	}
}

// credential makes a whole one from everything before the checksum.
func credential(head string) string {
	sum := checksum(head)
	return head + string(sum[:])
}

const body = "0123456789ABCDEFGHIJKLMNOPQRSTUV"

func TestParse(t *testing.T) {
	t.Parallel()
	prefixes := Prefixes{"lk", "lkm", "acme2"}
	for name, c := range map[string]struct {
		head string
		kind Kind
		env  Environment
	}{
		"live":                         {"lk_live_", KindAPI, Live},
		"test":                         {"lk_test_", KindAPI, Test},
		"management":                   {"acme2m_", KindManagement, AnyEnvironment},
		"set-up":                       {"lks_", KindSetup, AnyEnvironment},
		"an older prefix":              {"acme2_live_", KindAPI, Live},
		"a prefix that begins another": {"lkm_live_", KindAPI, Live},
		"management, under either":     {"lkm_", KindManagement, AnyEnvironment},
		"management of the longer one": {"lkmm_", KindManagement, AnyEnvironment},
	} {
		token, ok := prefixes.Parse(credential(c.head + body))
		want := Token{Kind: c.kind, Environment: c.env, Fingerprint: FingerprintOf(credential(c.head + body))}
		if !ok || token != want {
			t.Errorf("%s: got %v, %v", name, token, ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	prefixes := Prefixes{"lk"}
	if _, ok := prefixes.Parse(credential("lk_live_" + body)); !ok {
		t.Fatal("refuses a good one")
	}
	for name, text := range map[string]string{
		"nothing":                      "",
		"a prefix that was not issued": credential("xk_live_" + body),
		"no prefix":                    credential("_live_" + body),
		"another environment":          credential("lk_prod_" + body),
		"no environment":               credential("lk_" + body),
		"another kind":                 credential("lkx_" + body),
		"upper case":                   credential("LK_live_" + body),
		"a body that is too short":     credential("lk_live_" + body[1:]),
		"a body that is too long":      credential("lk_live_" + body + "0"),
		"a dash in the body":           credential("lk_live_-" + body[1:]),
		"NUL in the body":              credential("lk_live_\x00" + body[1:]),
		"not ASCII":                    credential("lk_live_é" + body[2:]),
		"NUL behind it":                vector + "\x00",
		"a space before it":            " " + vector,
		"a line end behind it":         vector + "\n",
		"cut short":                    vector[:len(vector)-1],
		"only a checksum":              vector[len(vector)-6:],
		"no checksum":                  vector[:len(vector)-6],
		"a checksum of dashes":         vector[:len(vector)-6] + "------",
		"twice":                        vector + vector,
		"too long":                     strings.Repeat("lk_live_", MaxCredential),
		"too long, but whole":          credential(strings.Repeat("x", MaxCredential) + "_live_" + body),
	} {
		if token, ok := prefixes.Parse(text); ok || token != (Token{}) {
			t.Errorf("%s: got %v, %v", name, token, ok)
		}
	}
	for i := range vector { // every typing error in one place
		for _, c := range []byte("0aZ_-\x00\xff") {
			if typo := vector[:i] + string([]byte{c}) + vector[i+1:]; typo != vector {
				if _, ok := prefixes.Parse(typo); ok {
					t.Errorf("%q is read", typo)
				}
			}
		}
	}
	if _, ok := (Prefixes{}).Parse(vector); ok {
		t.Error("an installation without a prefix reads a key")
	}
}

// TestAChecksumHasOneForm: six digits can write numbers beyond 32 bits, which
// must not wrap onto a checksum.
func TestAChecksumHasOneForm(t *testing.T) {
	t.Parallel()
	head := "lk_live_" + body
	sum := checksum(head)
	n := base62(string(sum[:])) + 1<<32
	var wrapped [checkLen]byte
	for i := checkLen - 1; i >= 0; i-- {
		wrapped[i] = alphabet[n%62]
		n /= 62
	}
	if n != 0 {
		t.Fatal("the wrapped number does not fit")
	}
	if _, ok := (Prefixes{"lk"}).Parse(head + string(wrapped[:])); ok {
		t.Error("a second checksum is read")
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	prefixes := Prefixes{"acme", "lk"}
	if n := testing.AllocsPerRun(100, func() { prefixes.Parse(vector) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestResembles(t *testing.T) {
	t.Parallel()
	prefixes := Prefixes{"lk"}
	for text, want := range map[string]bool{
		vector: true, vector[:len(vector)-6] + "000000": true, "lk_live_0123": false, "billing worker": false, "": false,
	} {
		if prefixes.Resembles(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{
		"lk": true, "a": true, "acme2": true, "abcdefghijklmnop": true,
		"": false, "abcdefghijklmnopq": false, "2a": false, "LK": false, "l_k": false, "l-k": false, "lé": false, " ": false,
	} {
		if err := CheckPrefix(prefix); (err == nil) != want {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	t.Parallel()
	if f, err := ParseFingerprint(vectorFingerprint); err != nil || f != FingerprintOf(vector) {
		t.Errorf("got %v, %v", f, err)
	}
	for _, bad := range []string{"", "00", vectorFingerprint + "00", vectorFingerprint[:63] + "g", strings.Repeat("é", 32)} {
		if f, err := ParseFingerprint(bad); err == nil || f != (Fingerprint{}) {
			t.Errorf("%q: got %v, %v", bad, f, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", vector, vector[:20], "lkm_" + vector[8:], credential("lkm_" + body), credential("lks_" + body),
		credential("acme_test_" + body), "lk_live_\x00", strings.Repeat("lk_live_", 80),
	} {
		f.Add(seed)
	}
	prefixes := Prefixes{"lk", "acme"}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := prefixes.Parse(text)
		if !ok {
			if token != (Token{}) {
				t.Errorf("refused, but %v", token)
			}
			return
		}
		if len(text) > MaxCredential || credential(text[:len(text)-checkLen]) != text {
			t.Errorf("%q is read", text)
		}
		if !prefixes.Resembles(text) || token.Fingerprint != FingerprintOf(text) {
			t.Errorf("%q: got %v", text, token)
		}
		if (token.Kind == KindAPI) != (token.Environment != AnyEnvironment) {
			t.Errorf("%q: %v %v", text, token.Kind, token.Environment)
		}
	})
}
