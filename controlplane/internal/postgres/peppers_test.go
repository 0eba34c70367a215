package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/records"
)

// Two replicas go through both roll-outs one after the other while keys are
// looked up at both without a pause: none is refused at any moment.
func TestPeppersRotateInTwoRollOutsWithoutARefusal(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	older, newer := pepper("older"), pepper("newer")
	replicas := [2]*house{furnish(t, dsn, older), furnish(t, dsn, older)}
	var live []keys.Issued
	for i := range 20 {
		live = append(live, replicas[i%2].issue(t, fmt.Sprint("key ", i)))
	}
	all := func(stage string) {
		t.Helper()
		var wg sync.WaitGroup
		for _, r := range replicas {
			wg.Go(func() {
				for _, k := range live {
					if _, found := r.lookup(t, k.Secret); !found {
						t.Errorf("%s: a good key was not found", stage)
					}
				}
			})
		}
		wg.Wait()
	}
	for i, stage := range []struct {
		replica int
		peppers []records.Pepper
	}{
		{0, []records.Pepper{older, newer}}, {1, []records.Pepper{older, newer}}, // append everywhere
		{0, []records.Pepper{newer, older}}, {1, []records.Pepper{newer, older}}, // then move to the front
	} {
		replicas[stage.replica] = furnish(t, dsn, stage.peppers...)
		all(fmt.Sprint("stage ", i))
		live = append(live, replicas[0].issue(t, "issued between"), replicas[1].issue(t, "issued between"))
		all(fmt.Sprint("stage ", i, " with new keys"))
	}
	counts := must[map[string]int64](t)(replicas[0].db.Peppers().KeysPerPepper(t.Context()))
	if counts["older"] != 0 || counts["newer"] != int64(len(live)) {
		t.Errorf("keys per pepper %v, want all %d under newer", counts, len(live))
	}
	replicas[0] = furnish(t, dsn, newer) // nothing is under the old one: it may go
	replicas[1] = furnish(t, dsn, newer)
	all("without the old pepper")
}

// While replicas disagree on which pepper is in front, the one that does not
// know of the change must not move keys back.
func TestAReplicaThatIsBehindMovesNoKeyBack(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	older, newer := pepper("older"), pepper("newer")
	behind := furnish(t, dsn, older, newer)
	k := behind.issue(t, "ci")
	ahead := furnish(t, dsn, newer, older)
	for range 3 {
		ahead.lookup(t, k.Secret)
		behind.lookup(t, k.Secret)
	}
	counts := must[map[string]int64](t)(ahead.db.Peppers().KeysPerPepper(t.Context()))
	if counts["newer"] != 1 || counts["older"] != 0 {
		t.Errorf("keys per pepper %v, want the one under newer", counts)
	}
}

func TestPeppersThatWouldLoseKeysAreRefused(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn, pepper("p1"))
	h.issue(t, "ci")
	other := records.Pepper{ID: "p1", Secret: []byte("another secret of at least thirty-two bytes")}
	for name, test := range map[string]struct {
		list []records.Pepper
		says string
	}{
		"id dropped while in use": {[]records.Pepper{pepper("p2")}, `lacks the id "p1"`},
		"another secret":          {[]records.Pepper{other}, `another secret under the id "p1"`},
		"none":                    {nil, "names no pepper"},
	} {
		_, err := records.OpenPeppers(t.Context(), test.list, h.db.Peppers())
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret of at least") {
			t.Errorf("%s: the error shows a pepper", name)
		}
	}
	if used := must[[]records.PepperUse](t)(h.db.Peppers().Used(t.Context())); len(used) != 1 || used[0].ID != "p1" {
		t.Errorf("what was refused is in use: %v", used)
	}
}
