package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
)

type settingsRow struct {
	bun.BaseModel `bun:"table:settings,alias:st"`

	One bool `bun:",pk"`
	settings.Each[*int]
	ChangedAt *time.Time
	Version   int64
}

func rowOfSettings(s settings.Settings) *settingsRow {
	return &settingsRow{One: true, Each: s.Chosen, ChangedAt: s.ChangedAt, Version: s.Version}
}

func (r *settingsRow) domain() settings.Settings {
	return settings.Settings{Chosen: r.Each, ChangedAt: r.ChangedAt, Version: r.Version}
}

func (r *settingsRow) bumpVersion() { r.Version++ }

// Settings keeps the settings.
type Settings struct{ db *DB }

// Settings returns the store of settings.
func (db *DB) Settings() *Settings { return &Settings{db} }

// Read implements settings.Store.
func (s *Settings) Read(ctx context.Context) (settings.Settings, error) {
	return byID(ctx, s.db, &settingsRow{One: true}, (*settingsRow).domain)
}

// Update implements settings.Store.
func (s *Settings) Update(ctx context.Context, change func(*settings.Settings) (*journal.Entry, error)) (settings.Settings, error) {
	return update(ctx, s.db, &settingsRow{One: true}, (*settingsRow).domain, rowOfSettings, change)
}
