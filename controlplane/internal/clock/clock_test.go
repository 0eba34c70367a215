package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/clock"
)

func TestStored(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 13, 0, 0, 1999, time.FixedZone("", 3600))
	want := time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)
	if got := clock.Clock(func() time.Time { return at }).Moment(); got != want {
		t.Error(got)
	}
	if got := clock.StoredOrNil(&at); *got != want || clock.StoredOrNil(nil) != nil {
		t.Error(got)
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		start, fault := time.Now(), errors.New("of the second time")
		var at []time.Duration
		var heard []error
		clock.Every(ctx, time.Minute, func(ctx context.Context) error {
			at = append(at, time.Since(start))
			switch len(at) {
			case 2:
				return fault
			case 3:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, func(err error) { heard = append(heard, err) })
		if len(at) != 3 || at[0] != 0 || at[1] != time.Minute || at[2] != 2*time.Minute {
			t.Errorf("worked at %v", at)
		}
		if len(heard) != 1 || !errors.Is(heard[0], fault) {
			t.Errorf("heard of %v", heard)
		}
	})
}
