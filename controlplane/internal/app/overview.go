package app

import (
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/overview"
)

// newOverview counts for this replica; each has counts of its own age.
func (a *App) newOverview(now func() time.Time) *overview.Service {
	return overview.New(overview.Config{
		Store: a.DB.Overview(), Keys: a.Keys, Users: a.Users, Plans: a.Plans, Gateways: a.gateways, Now: now,
	})
}
