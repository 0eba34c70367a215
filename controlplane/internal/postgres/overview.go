package postgres

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/overview"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Overview counts.
type Overview struct{ db *DB }

// Overview returns the store of the overview.
func (db *DB) Overview() *Overview { return &Overview{db} }

// countsSQL sums the tallies of the stamps, and corrects what comes of it by the
// few rows whose stamp is due. Management keys are in no environment.
const countsSQL = `
WITH due AS MATERIALIZED (
	SELECT k.environment, k.status AS was, ` + statusSQL + ` AS is_now, count(*) AS n FROM keys k WHERE ` + stampIsDue + ` GROUP BY 1, 2, 3)
SELECT 'keys' AS what, status, environment = '' AS management, sum(n)::bigint AS n FROM key_tallies GROUP BY 2, 3
UNION ALL SELECT 'keys', was, environment = '', -n FROM due
UNION ALL SELECT 'keys', is_now, environment = '', n FROM due
UNION ALL SELECT 'soon', '', k.environment = '', count(*) FROM keys k
	WHERE k.deleted_at IS NULL AND COALESCE(k.expires_at, 'infinity') > ? AND COALESCE(k.expires_at, 'infinity') <= ? AND ` + statusSQL + ` IN ('active', 'retiring') GROUP BY 3
UNION ALL SELECT 'users', '', false, count(*) FROM users
UNION ALL SELECT 'disabled users', '', false, count(*) FROM users WHERE disabled_at IS NOT NULL
UNION ALL SELECT 'plans', '', false, count(*) FROM plans
UNION ALL SELECT 'archived plans', '', false, count(*) FROM plans WHERE archived_at IS NOT NULL`

// Counts implements overview.Store: one statement, so one snapshot.
func (s *Overview) Counts(ctx context.Context, at time.Time, soon time.Duration) (overview.Counts, error) {
	var rows []struct {
		What, Status string
		Management   bool
		N            int64
	}
	err := s.db.bun.NewRaw(countsSQL, at, at, at, at, at, at.Add(soon), at, at, at).Scan(ctx, &rows)
	if err != nil {
		return overview.Counts{}, translate(err)
	}
	c := overview.Counts{At: at, Keys: overview.NewKeyCount(), ManagementKeys: overview.NewKeyCount()}
	for _, r := range rows {
		kind := apikey.KindAPI
		if r.Management {
			kind = apikey.KindManagement
		}
		switch r.What {
		case "keys":
			c.Of(kind).Add(keys.Status(r.Status), r.N)
		case "soon":
			c.Of(kind).ExpiringSoon = r.N
		case "users":
			c.Users = r.N
		case "disabled users":
			c.DisabledUsers = r.N
		case "plans":
			c.Plans = r.N
		case "archived plans":
			c.ArchivedPlans = r.N
		}
	}
	return c, nil
}
