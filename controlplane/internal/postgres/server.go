package postgres

import (
	"context"
	"time"
)

// Server is what a server says of itself.
type Server struct {
	Version string // such as "15.7"
	Primary bool   // it takes writes
	// Skew is how far its clock is ahead of ours, give or take half of the time
	// that the question took.
	Skew time.Duration
}

// Server asks the server about itself, by the given clock.
func (db *DB) Server(ctx context.Context, now func() time.Time) (s Server, err error) {
	var at time.Time
	asked := now()
	err = db.pool.QueryRow(ctx, "SELECT current_setting('server_version'), NOT pg_is_in_recovery(), clock_timestamp()").
		Scan(&s.Version, &s.Primary, &at)
	answered := now()
	s.Skew = at.Sub(asked.Add(answered.Sub(asked) / 2))
	return s, translate(err)
}
