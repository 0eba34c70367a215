package validator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
)

// TestVectors judges every vector twice: from a look-up, and from the cache.
func TestVectors(t *testing.T) {
	t.Parallel()
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		switch row.Code {
		case apikey.MissingCredential, apikey.AmbiguousCredential, apikey.Malformed:
			continue // answered before there is anything to validate
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(row.Now)) // the bubble's clock starts in 2000
				source := &fakeSource{epoch: "e"}
				if row.Found {
					source.set(row.Request.Fingerprint, row.Record)
				}
				v, err := New(Config{Source: source, Now: time.Now, CacheMB: 1, StaleBudget: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				v.Heard(Head{Epoch: "e"})
				for _, from := range []string{"a look-up", "the cache"} {
					verdict := v.Validate(context.Background(), &row.Request)
					if verdict.Code != row.Code || verdict.MissingScope != row.MissingScope || source.asked.Load() != 1 {
						t.Errorf("from %s: got %v %q after %d look-ups", from, verdict.Code, verdict.MissingScope, source.asked.Load())
					}
					known := row.Code != apikey.KeyNotFound // a key of another kind does not show
					if shown := verdict.Record.Key.ID != ""; shown != known {
						t.Errorf("from %s: shows a record: %v", from, shown)
					}
					if waits := verdict.RetryAfter > 0; waits != (row.Code == apikey.Undecided) {
						t.Errorf("from %s: ask again after %v", from, verdict.RetryAfter)
					}
				}
			})
		})
	}
}

// TestAHitAllocatesOnlyInBigcache: its copies of key and entry, and nothing else.
func TestAHitAllocatesOnlyInBigcache(t *testing.T) {
	source := &fakeSource{epoch: "e"}
	source.set(print(1), benchRecord())
	v, err := New(Config{Source: source, Now: time.Now, CacheMB: 1, StaleBudget: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	v.Heard(Head{Epoch: "e"})
	req := request(1)
	v.Validate(context.Background(), req)
	v.Apply(Change{Number: 99, IDs: []string{"key_other"}, Forget: true})
	if n := testing.AllocsPerRun(100, func() { v.Validate(context.Background(), req) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	if n := source.asked.Load(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
}
