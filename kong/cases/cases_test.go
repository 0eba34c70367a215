package cases_test

import (
	"testing"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/shared/apikey"
)

// The table has a case for every verdict, and no two that one could take for
// each other.
func TestTheTableIsWhole(t *testing.T) {
	t.Parallel()
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	names, codes := map[string]bool{}, map[apikey.Code]bool{}
	for _, c := range all {
		if names[c.Name] {
			t.Errorf("%s: two cases of that name", c.Name)
		}
		names[c.Name] = true
		for _, code := range c.Want.Codes {
			codes[code] = true
		}
	}
	for _, code := range apikey.Codes() {
		if !codes[code] {
			t.Errorf("%v is in no case", code)
		}
	}
	for _, p := range cases.Probes() {
		if names[p.Name] {
			t.Errorf("%s: two cases of that name", p.Name)
		}
		names[p.Name] = true
	}
}

// A case says itself whether a client can send its request.
func TestWhatCanBeSent(t *testing.T) {
	t.Parallel()
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, c := range all {
		_, err := c.Request.Wire("a.test")
		if (err != nil) != (c.Unsendable != "") {
			t.Errorf("%s: %v, the case says %q", c.Name, err, c.Unsendable)
		}
		if c.Request.Nginx() != 0 {
			refused++
		}
	}
	for _, p := range cases.Probes() {
		if _, err := p.Request.Wire("a.test"); err != nil || p.Request.Nginx() != 0 {
			t.Errorf("%s: %v, nginx answers %d", p.Name, err, p.Request.Nginx())
		}
	}
	if refused == 0 || refused > len(all)/8 {
		t.Errorf("nginx refuses %d of %d", refused, len(all))
	}
}
