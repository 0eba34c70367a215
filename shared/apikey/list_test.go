package apikey

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrings(t *testing.T) {
	t.Parallel()
	for name, elements := range map[string][]string{
		"none":               {},
		"one":                {"a"},
		"an empty one":       {""},
		"several":            {"a", "", "reports:read", "a"},
		"127, 128, 129 long": {strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 129)},
		"a long one":         {strings.Repeat("ä", 1<<16)},
		"many":               strings.Split(strings.Repeat("s,", 1000), ","),
		"any bytes":          {"\x00\xff\x80", "\""},
	} {
		l := NewStrings(elements...)
		if diff := cmp.Diff(elements, l.Slice()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if l.Empty() != (len(elements) == 0) || !l.valid() {
			t.Errorf("%s: empty %v, valid %v", name, l.Empty(), l.valid())
		}
		for range l.All() {
			break // a reader may stop
		}
	}
}

func TestStringsThatAreTorn(t *testing.T) {
	t.Parallel()
	whole := NewStrings("reports:read", strings.Repeat("x", 300), "z").packed
	boundaries := map[int]bool{0: true, 13: true, 13 + 302: true, len(whole): true}
	for n := range len(whole) + 1 {
		l := Strings{whole[:n]}
		if l.valid() != boundaries[n] {
			t.Errorf("cut at %d: valid %v", n, l.valid())
		}
		for range l.All() { // ends early, never panics
		}
	}
	for _, packed := range []string{"\xff", "\x80", strings.Repeat("\xff", 9) + "\x01", strings.Repeat("\xff", 20), "\x05abc"} {
		if l := (Strings{packed}); l.valid() || len(l.Slice()) != 0 {
			t.Errorf("%x is a list: %q", packed, l.Slice())
		}
	}
}

func TestListsAsJSON(t *testing.T) {
	t.Parallel()
	type lists struct {
		S Strings
		C CIDRs
	}
	for name, want := range map[string]string{
		"empty": `{"S":[],"C":[]}`,
		"full":  `{"S":["a","b\"c"],"C":["10.0.0.0/8","2001:db8::/33","0.0.0.0/0","::/0"]}`,
	} {
		var l lists
		if err := json.Unmarshal([]byte(want), &l); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(l); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	for _, bad := range []string{`{"S":"a"}`, `{"S":[1]}`, `{"C":["10.0.0.0"]}`, `{"C":[""]}`, `{"C":["10.0.0.0/33"]}`, `{"C":[null]}`} {
		if err := json.Unmarshal([]byte(bad), new(lists)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// TestContainsAgreesWithNetip on random networks and addresses near them.
func TestContainsAgreesWithNetip(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		b := make([]byte, 4+12*random.IntN(2))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		addr, _ := netip.AddrFromSlice(b)
		network := netip.PrefixFrom(addr, random.IntN(addr.BitLen()+1))
		if flip := random.IntN(addr.BitLen()); random.IntN(4) > 0 {
			b[flip/8] ^= 0x80 >> (flip % 8)
		}
		near, _ := netip.AddrFromSlice(b)
		if near.Is4In6() || addr.Is4In6() {
			continue
		}
		if got, want := NewCIDRs(network).Contains(near), network.Contains(near); got != want {
			t.Fatalf("%v in %v: %v", near, network, got)
		}
		if back := NewCIDRs(network).Prefixes()[0]; back != network.Masked() {
			t.Fatalf("%v is read back as %v", network, back)
		}
	}
}

// A network is what it is compared as, however it was written.
func TestParseNetwork(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"203.0.113.9/24": "203.0.113.0/24", "203.0.113.9": "203.0.113.9/32", "2001:db8::9/32": "2001:db8::/32", "2001:db8::9": "2001:db8::9/128",
		"::ffff:203.0.113.9": "203.0.113.9/32", "::ffff:203.0.113.9/120": "203.0.113.0/24", "::ffff:0:0/96": "0.0.0.0/0", "::/0": "::/0",
		"::ffff:203.0.113.9/90": "", "::ffff:0:0/95": "", "203.0.113.0/33": "", "fe80::1%eth0": "", "fe80::1%eth0/64": "", "": "", "x": "", "203.0.113.0/024": "",
	} {
		got, err := ParseNetwork(text)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%q: %v %v, want %q", text, got, err, want)
		}
	}
}
