package wire

import (
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/shared/meter"
)

// MaxUses is how many keys one Usage may tell of: as many as a meter hands on at
// once, and room for later ones.
const MaxUses = 1000

// Usage tells what keys were used for at a gateway. To tell it twice changes
// nothing.
type Usage struct {
	Uses []KeyUse `json:"uses"`
}

// KeyUse is the last use of a key that the gateway knows of, by its own clock.
type KeyUse struct {
	KeyID      string    `json:"key_id"`
	LastUsedAt time.Time `json:"last_used_at"`
	// LastUsedIP is absent where it is not known.
	LastUsedIP netip.Addr `json:"last_used_ip,omitzero"`
}

// NewUsage writes what a meter hands on.
func NewUsage(uses []meter.Use) Usage {
	u := Usage{Uses: make([]KeyUse, len(uses))}
	for i, use := range uses {
		u.Uses[i] = KeyUse{KeyID: use.KeyID, LastUsedAt: use.At.UTC(), LastUsedIP: use.IP}
	}
	return u
}
