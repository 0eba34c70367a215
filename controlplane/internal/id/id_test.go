package id_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/id"
)

func TestIDsComeBackAndDoNotMix(t *testing.T) {
	t.Parallel()
	user := id.New[id.UserKind]()
	back, err := id.Parse[id.UserKind](user.String())
	if err != nil || back != user {
		t.Fatalf("%v %v", back, err)
	}
	if _, err := id.Parse[id.KeyKind](user.String()); err == nil || strings.Contains(err.Error(), user.String()) {
		t.Errorf("a user's id as a key's: %v", err)
	}
	var in struct{ ID id.User }
	if b, _ := json.Marshal(struct{ ID id.User }{user}); json.Unmarshal(b, &in) != nil || in.ID != user {
		t.Errorf("JSON: %s", b)
	}
	value, _ := user.Value()
	var scanned id.User
	if err := scanned.Scan(value); err != nil || scanned != user {
		t.Errorf("scan of %v: %v", value, err)
	}
	if err := scanned.Scan(nil); err != nil || !scanned.IsZero() || scanned.String() != "" {
		t.Errorf("NULL: %v %v", scanned, err)
	}
}

func TestWhatIsNoID(t *testing.T) {
	t.Parallel()
	good := id.New[id.KeyKind]().String()
	for name, text := range map[string]string{
		"empty": "", "prefix alone": "key_", "short": good[:35], "long": good + "0", "capitals": strings.ToUpper(good),
		"no hexadecimal": good[:35] + "g", "nil": "key_" + strings.Repeat("0", 32), "dashes": "key_0190c2f5-7d3a-7c3e-8f5a-2b6d1c9e4a70",
	} {
		if _, err := id.Parse[id.KeyKind](text); err == nil {
			t.Errorf("%s is an id", name)
		}
	}
}

func TestLaterIDsSortLater(t *testing.T) {
	t.Parallel()
	last := ""
	for range 1000 {
		next := id.New[id.EventKind]().String()
		if next <= last {
			t.Fatalf("%s came after %s", next, last)
		}
		last = next
	}
}
