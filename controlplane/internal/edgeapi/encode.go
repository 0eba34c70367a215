package edgeapi

import (
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/wire"
)

// encodeChange writes a change as an event. Every change that takes something
// away asks for an acknowledgement: which of them somebody waits for is known to
// one replica only, and gateways confirm many changes at once, so asking always
// costs at most a heartbeat per gateway and 20 milliseconds.
func encodeChange(c journal.Change) []byte {
	w := wire.Change{IDs: c.IDs, Kind: wire.Refresh}
	if c.Forget {
		w.Kind, w.Ack = wire.Forget, true
	}
	return encode(wire.EventChange, c.Number, w)
}

func encodeHead(name string, h *journal.Head) []byte {
	return encode(name, 0, wire.Head{Number: h.Number, Epoch: h.Epoch, Prefixes: h.Prefixes})
}

func encode(name string, id int64, data any) []byte {
	b, err := wire.AppendEvent(nil, name, id, data)
	if err != nil { // texts and numbers: a defect
		panic("edgeapi: " + err.Error())
	}
	return b
}
