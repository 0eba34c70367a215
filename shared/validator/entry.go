package validator

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/latchkey/latchkey/shared/apikey"
)

// maxEntry is the largest entry that is cached, in bytes: bigcache would empty
// a whole shard to make room for one that is larger than the shard.
const maxEntry = 64 << 10

// entryHeader is the fixed part of an encoded entry: era, time, change, whether
// found, how many slots.
const entryHeader = 8 + 8 + 8 + 1 + 2

// entry is one answer of the Source as it is cached: what is needed to say
// whether it still holds, and the record behind it.
//
//	era u64 | at i64 | change i64 | found u8 | n u16 | n × slot u32 | record
type entry struct {
	era    uint64 // the era in which it was asked for
	at     int64  // when the look-up was sent, on the validator's clock
	change int64  // the change number that the answer reflects
	found  bool
	slots  []byte // where the table keeps what the answer depends on
	record []byte // empty where not found
}

// appendEntry encodes an answer, without its era and time (see stamp). ok is
// false for a record that cannot be written.
func appendEntry(b []byte, seed maphash.Seed, a *Answer) (_ []byte, ok bool) {
	b = append(b, make([]byte, entryHeader)...)
	binary.LittleEndian.PutUint64(b[16:], uint64(a.Record.Change))
	n := 0
	if a.Found {
		b[24] = 1
		for id := range a.Record.DependsOn.All() {
			b = binary.LittleEndian.AppendUint32(b, slotOf(seed, id))
			n++
		}
	} else {
		b = binary.LittleEndian.AppendUint32(b, slotOf(seed, noneID))
		n = 1
	}
	if n > math.MaxUint16 {
		return nil, false
	}
	binary.LittleEndian.PutUint16(b[25:], uint16(n))
	if !a.Found {
		return b, true
	}
	b, err := a.Record.AppendBinary(b)
	return b, err == nil
}

// stamp writes the era and the time into an encoded entry.
func stamp(b []byte, era uint64, at int64) {
	binary.LittleEndian.PutUint64(b, era)
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
}

// parseEntry reads what appendEntry wrote, as views of b. ok is false for bytes
// that are cut short.
func parseEntry(b []byte) (e entry, ok bool) {
	if len(b) < entryHeader {
		return entry{}, false
	}
	slots := 4 * int(binary.LittleEndian.Uint16(b[25:]))
	if len(b) < entryHeader+slots {
		return entry{}, false
	}
	return entry{
		era:    binary.LittleEndian.Uint64(b),
		at:     int64(binary.LittleEndian.Uint64(b[8:])),
		change: int64(binary.LittleEndian.Uint64(b[16:])),
		found:  b[24] == 1,
		slots:  b[entryHeader : entryHeader+slots],
		record: b[entryHeader+slots:],
	}, true
}

// dependent reports whether a change can reach the entry at all. A record that
// names nothing it depends on could never be forgotten, so it is not cached.
func (e *entry) dependent() bool { return len(e.slots) > 0 }

// whole reports whether judge can read the entry.
func (e *entry) whole() bool {
	return !e.found && len(e.record) == 0 || apikey.DecodeRecord(e.record, new(apikey.Record)) == nil
}

// judge decides a request by the entry. ok is false where the entry holds no
// whole record.
func (e *entry) judge(now apikey.Instant, req *apikey.Request, verdict *apikey.Verdict) (ok bool) {
	if !e.found {
		verdict.Code = apikey.KeyNotFound
		return len(e.record) == 0
	}
	if err := apikey.DecodeRecord(e.record, &verdict.Record); err != nil {
		return false
	}
	verdict.Code, verdict.At = apikey.Decide(now, &verdict.Record, req), now
	switch verdict.Code {
	case apikey.InsufficientScope:
		verdict.MissingScope = verdict.Record.MissingScope(req)
	case apikey.KeyNotFound: // of another kind: at this door it does not exist
		verdict.Record = apikey.Record{}
	}
	return true
}
