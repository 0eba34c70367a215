// Package settings owns the policies that administrators change while Latchkey
// runs: they hold from the answer on, at every replica, without a restart.
//
//	Change ──► store, journal ──change log──► Apply at every replica ──► the next Values reads anew
//
// Invariants: a setting is a number within its bounds, and its default where
// nobody chose one; Values are never older than what the replica has heard of
// the change log, and where it hears nothing they are read each time. Whoever
// cannot read them is told so, and decides nothing by old ones. Called by the
// admin API; app hands the values on to the domains that go by them, and the
// postgres adapter is the Store.
package settings

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Each has a T for every setting.
type Each[T any] struct {
	// RestoreWindowDays is how long a revocation can be undone; 0: never.
	RestoreWindowDays T `json:"restore_window_days"`
	// DeletedKeyRetentionDays is how long what is known of a deleted key is kept.
	DeletedKeyRetentionDays T `json:"deleted_key_retention_days"`
	// KeyMaxLifetimeDays bounds the life of keys that are issued under no plan;
	// 0: no bound.
	KeyMaxLifetimeDays T `json:"key_max_lifetime_days"`
	// RotationOverlapHours is how long the old secret stays good after a
	// rotation that does not say.
	RotationOverlapHours T `json:"rotation_overlap_hours"`
	// SessionIdleHours is how long a session lives without a refresh.
	SessionIdleHours T `json:"session_idle_hours"`
	// SessionMaxDays is how long a session lives at most.
	SessionMaxDays T `json:"session_max_days"`
}

// all lists what there is for each setting, in the order of rules.
func (e *Each[T]) all() []*T {
	return []*T{
		&e.RestoreWindowDays, &e.DeletedKeyRetentionDays, &e.KeyMaxLifetimeDays,
		&e.RotationOverlapHours, &e.SessionIdleHours, &e.SessionMaxDays,
	}
}

// rule says what a setting may be.
type rule struct {
	name               string
	usual, least, most int
}

var rules = []rule{
	{"restore_window_days", keys.Usual.RestoreWindowDays, 0, 90},
	{"deleted_key_retention_days", keys.Usual.DeletedRetentionDays, 1, 3650},
	{"key_max_lifetime_days", keys.Usual.MaxLifetimeDays, 0, keys.MaxExpireDays},
	{"rotation_overlap_hours", keys.Usual.RotationOverlapHours, 0, keys.MaxOverlapHours},
	{"session_idle_hours", int(identity.Usual.Idle / time.Hour), 1, 720},
	{"session_max_days", int(identity.Usual.Whole / (24 * time.Hour)), 1, 365},
}

// Values are what counts for each setting.
type Values = Each[int]

// Defaults returns what counts where nobody chose anything.
func Defaults() Values { return Settings{}.Values() }

// Bounds returns the least and the most that each setting may be.
func Bounds() (least, most Values) {
	for i, r := range rules {
		*least.all()[i], *most.all()[i] = r.least, r.most
	}
	return least, most
}

// Settings are the settings as they are kept.
type Settings struct {
	Chosen    Each[*int] // nil: the default counts
	ChangedAt *time.Time // nil: nobody ever chose anything
	Version   int64
}

// Values returns what counts.
func (s Settings) Values() (v Values) {
	for i, chosen := range s.Chosen.all() {
		value := rules[i].usual
		if *chosen != nil {
			value = **chosen
		}
		*v.all()[i] = value
	}
	return v
}

// Own lists the names of the settings that were chosen, and so do not follow
// the default.
func (s Settings) Own() []string {
	names := []string{}
	for i, chosen := range s.Chosen.all() {
		if *chosen != nil {
			names = append(names, rules[i].name)
		}
	}
	return names
}

// check notes every value that breaks a rule.
func (s Settings) check() error {
	var f fault.Fields
	for i, chosen := range s.Chosen.all() {
		r := rules[i]
		f.Check(*chosen == nil || **chosen >= r.least && **chosen <= r.most, "body."+r.name, "%d to %d, or null for the default of %d", r.least, r.most, r.usual)
	}
	if v := s.Values(); v.SessionIdleHours > 24*v.SessionMaxDays {
		f.Add("body.session_idle_hours", "no longer than session_max_days, which is %d hours", 24*v.SessionMaxDays)
	}
	return f.Err()
}

// differences returns what counted and what counts for the settings in which two
// differ.
func differences(before, after Settings) (was, is map[string]int) {
	was, is = map[string]int{}, map[string]int{}
	b, a := before.Values(), after.Values()
	for i, chosen := range before.Chosen.all() {
		if old, fresh := *chosen, *after.Chosen.all()[i]; (old == nil) != (fresh == nil) || old != nil && *old != *fresh {
			was[rules[i].name], is[rules[i].name] = *b.all()[i], *a.all()[i]
		}
	}
	return was, is
}

// Store keeps the settings of the installation, under the same contract as
// users.Store.
type Store interface {
	Read(ctx context.Context) (Settings, error)
	Update(ctx context.Context, change func(*Settings) (*journal.Entry, error)) (Settings, error)
}
