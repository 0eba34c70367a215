package keys

import (
	"context"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/meter"
)

// Use is the last use of a key.
type Use struct {
	Key id.Key
	At  time.Time
	IP  netip.Addr // the zero value where it is not known
}

// NoteUses keeps when and from where keys were last used, at most MaxBatch of
// them; it is a meter.Sink. What is older than what is known already, and what
// names no key that is there, counts for nothing. Returned are those that
// somebody else holds at this moment. It is the program's own to call: a use is
// no change of a key, so it has no caller, no version and no entry.
func (s *Service) NoteUses(ctx context.Context, noted []meter.Use) (left []meter.Use, err error) {
	uses, meant := make([]Use, 0, len(noted)), make(map[id.Key]meter.Use, len(noted))
	for _, n := range noted {
		key, err := id.Parse[id.KeyKind](n.KeyID)
		if _, twice := meant[key]; twice || err != nil {
			continue // a meter names each key once, and what is no id is no key
		}
		meant[key] = n
		uses = append(uses, Use{Key: key, At: clock.Stored(n.At), IP: n.IP.Unmap().WithZone("")})
	}
	locked, err := s.store.NoteUses(ctx, uses)
	for _, key := range locked {
		left = append(left, meant[key])
	}
	return left, err
}
