package settings_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
)

// shelf is a Store in memory that counts how often it is read.
type shelf struct {
	settings.Settings
	reads  int
	down   error
	during func() // happens while it is read
}

func (s *shelf) Read(context.Context) (settings.Settings, error) {
	s.reads++
	read := s.Settings
	if s.during != nil {
		s.during()
	}
	return read, s.down
}

func (s *shelf) Update(_ context.Context, change func(*settings.Settings) (*journal.Entry, error)) (settings.Settings, error) {
	edited := s.Settings
	if e, err := change(&edited); err != nil || e == nil {
		return s.Settings, err
	}
	edited.Version++
	s.Settings = edited
	return edited, nil
}

// Values are read once while the change log is heard and says nothing of them;
// after every word of a change, and without a word for too long, anew.
func TestValuesAreNeverOlderThanWhatWasHeard(t *testing.T) {
	t.Parallel()
	store, now := &shelf{Settings: settings.Settings{Version: 1}}, time.Now()
	s := settings.New(store, func() time.Time { return now })
	read := func(when string, hours, reads int) {
		t.Helper()
		before := store.reads
		v, err := s.Values(t.Context())
		if err != nil || v.RotationOverlapHours != hours || store.reads-before != reads {
			t.Errorf("%s: %d hours after %d reads, want %d after %d: %v", when, v.RotationOverlapHours, store.reads-before, hours, reads, err)
		}
	}
	read("unheard", 24, 1)
	read("unheard still", 24, 1)
	s.Heard(journal.Head{})
	read("heard", 24, 0)
	store.Chosen.RotationOverlapHours = new(1)
	s.Apply(journal.Change{IDs: []string{"key_1"}})
	read("of something else", 24, 0)
	s.Apply(journal.Change{IDs: []string{"key_1", settings.ID}})
	read("of settings", 1, 1)
	read("once", 1, 0)
	s.Reset(journal.Head{})
	read("another history", 1, 1)
	now = now.Add(3 * time.Second)
	read("silence", 1, 1)
	s.Heard(journal.Head{})
	read("heard again", 1, 0)

	s.Apply(journal.Change{IDs: []string{settings.ID}})
	store.down = errors.New("down")
	if _, err := s.Values(t.Context()); !errors.Is(err, store.down) {
		t.Errorf("old values are taken for those of now: %v", err)
	}
	store.down = nil
	store.during = func() {
		store.during = nil
		store.Chosen.RotationOverlapHours = new(2)
		s.Apply(journal.Change{IDs: []string{settings.ID}})
	}
	read("overtaken by a change", 1, 1)
	read("and then", 2, 1)
	read("and no more", 2, 0)
}

// Every setting has a name, a default within its bounds, and a place in a patch.
func TestEverySettingIsReal(t *testing.T) {
	t.Parallel()
	least, most := settings.Bounds()
	s := settings.New(&shelf{Settings: settings.Settings{Version: 1}}, time.Now)
	of := func(v any, i int) int { return int(reflect.ValueOf(v).Field(i).Int()) }
	shape := reflect.TypeFor[settings.Values]()
	for i := range shape.NumField() {
		name, usual := shape.Field(i).Tag.Get("json"), of(settings.Defaults(), i)
		if low, high := of(least, i), of(most, i); low > usual || usual > high || low >= high {
			t.Errorf("%s: %d is not within %d to %d", name, usual, low, high)
		}
		var p settings.Patch
		reflect.ValueOf(&p.Each).Elem().Field(i).Set(reflect.ValueOf(field.To(new(of(least, i)))))
		changed, err := s.Change(t.Context(), access.System(), p)
		if err != nil || of(changed.Values(), i) != of(least, i) || changed.Own()[i] != name {
			t.Errorf("%s: %v %v %v", name, changed.Values(), changed.Own(), err)
		}
	}
	if _, err := s.Change(t.Context(), access.Caller{}, settings.Patch{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody may change settings: %v", err)
	}
	text, err := json.Marshal(settings.Defaults())
	if err != nil || string(text) != `{"restore_window_days":7,"deleted_key_retention_days":30,"key_max_lifetime_days":0,"rotation_overlap_hours":24,"session_idle_hours":12,"session_max_days":30}` {
		t.Errorf("%s %v", text, err)
	}
}
