package app

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// keyPolicy is what the settings say about keys.
func (c *Core) keyPolicy(ctx context.Context) (keys.Policy, error) {
	v, err := c.Settings.Values(ctx)
	return keys.Policy{
		RestoreWindowDays: v.RestoreWindowDays, DeletedRetentionDays: v.DeletedKeyRetentionDays,
		MaxLifetimeDays: v.KeyMaxLifetimeDays, RotationOverlapHours: v.RotationOverlapHours,
	}, err
}

// sessionEnds is what the settings say about sessions.
func (c *Core) sessionEnds(ctx context.Context) (identity.Ends, error) {
	v, err := c.Settings.Values(ctx)
	return identity.Ends{
		Idle: time.Duration(v.SessionIdleHours) * time.Hour, Whole: time.Duration(v.SessionMaxDays) * 24 * time.Hour,
	}, err
}
