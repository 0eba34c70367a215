package app

import (
	"sync/atomic"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
)

// feed tells the control plane's own validator, and its doors, what the change
// log says: it is fed just as an edge is.
type feed struct {
	validator *validator.Validator
	prefixes  atomic.Pointer[apikey.Prefixes]
}

func newFeed(v *validator.Validator, issued apikey.Prefixes) *feed {
	f := &feed{validator: v}
	f.prefixes.Store(&issued)
	return f
}

// Prefixes are those of every key that was issued, as last heard.
func (f *feed) Prefixes() apikey.Prefixes { return *f.prefixes.Load() }

// Reset implements journal.Sink.
func (f *feed) Reset(h journal.Head) {
	f.hear(h)
	f.validator.Reset(validator.Head{Number: h.Number, Epoch: h.Epoch})
}

// Apply implements journal.Sink.
func (f *feed) Apply(c journal.Change) {
	f.validator.Apply(validator.Change{Number: c.Number, IDs: c.IDs, Forget: c.Forget})
}

// Heard implements journal.Sink.
func (f *feed) Heard(h journal.Head) {
	f.hear(h)
	f.validator.Heard(validator.Head{Number: h.Number, Epoch: h.Epoch})
}

func (f *feed) hear(h journal.Head) {
	if len(h.Prefixes) > 0 {
		issued := apikey.Prefixes(h.Prefixes)
		f.prefixes.Store(&issued)
	}
}
