package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// A file that is no snapshot admits nobody, and Kong's log says why it is of no
// use, where the operator looks for why requests get 503.
func TestASnapshotThatIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, []byte("not what it should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment("http://127.0.0.1:1")
	env["LATCHKEY_SNAPSHOT"] = path
	k := startWith(t, env)
	key := apikey.NewSecret("lk", apikey.KindAPI, apikey.Live).Reveal()
	r := k.Route(t, cases.Scoped())
	eventually(t, "Kong's log says why", func() bool {
		if out := access(t, r, kongtest.Request{Headers: h("X-API-Key", key)}); out.Allowed || out.Status != 503 {
			t.Fatalf("%+v", out)
		}
		return len(logged(k.Kong, "snapshot: ignored: it is of another version")) > 0
	})
}
