package apikey

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// codecVersion is the first byte of an encoded record. The encoding never
// leaves the process that made it, so it has no older versions to read.
const codecVersion = 1

// ErrTorn is returned for bytes that are not a whole encoded record.
var ErrTorn = errors.New("apikey: torn record")

// AppendBinary appends the compact form of the record that DecodeRecord reads:
// fixed fields as little-endian integers, texts and lists behind their length.
func (r *Record) AppendBinary(b []byte) ([]byte, error) {
	k, s := &r.Key, &r.Subscription
	flags := byte(0)
	if k.Disabled {
		flags |= 1
	}
	if r.User.Disabled {
		flags |= 2
	}
	b = append(b, codecVersion, flags, byte(k.Kind), byte(k.Environment), byte(s.Status))
	for _, n := range [...]int64{
		r.Change, int64(k.NotBefore), int64(k.ExpiresAt), int64(k.RetiresAt), int64(k.RevokedAt),
		int64(s.TrialEndsAt), int64(s.PeriodEnd),
	} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	for _, text := range [...]string{
		r.DependsOn.packed, r.Needs.packed,
		k.ID, k.Name, k.Scopes.packed, k.Metadata,
		k.AllowCIDRs.packed, k.DenyCIDRs.packed, k.AllowMethods.packed, k.AllowPaths.packed,
		r.User.ID, r.User.Name, r.User.ExternalID,
		s.ID, s.PlanID, s.Plan,
	} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b, nil
}

// DecodeRecord reads what AppendBinary wrote. The record's texts are views of
// b, which must never change afterwards. It allocates nothing. Bytes that are
// cut short, have something after their end, or hold a list or state that
// could not have been written are ErrTorn.
func DecodeRecord(b []byte) (r Record, err error) {
	d := decoder{rest: unsafe.String(unsafe.SliceData(b), len(b))}
	head := d.take(5)
	if len(head) != 5 || head[0] != codecVersion {
		return Record{}, ErrTorn
	}
	k, s := &r.Key, &r.Subscription
	k.Disabled, r.User.Disabled = head[1]&1 != 0, head[1]&2 != 0
	k.Kind, k.Environment, s.Status = Kind(head[2]), Environment(head[3]), SubscriptionStatus(head[4])

	r.Change = d.integer()
	k.NotBefore, k.ExpiresAt = Instant(d.integer()), Instant(d.integer())
	k.RetiresAt, k.RevokedAt = Instant(d.integer()), Instant(d.integer())
	s.TrialEndsAt, s.PeriodEnd = Instant(d.integer()), Instant(d.integer())

	r.DependsOn, r.Needs = Strings{d.text()}, Strings{d.text()}
	k.ID, k.Name, k.Scopes, k.Metadata = d.text(), d.text(), Strings{d.text()}, d.text()
	k.AllowCIDRs, k.DenyCIDRs = CIDRs{d.text()}, CIDRs{d.text()}
	k.AllowMethods, k.AllowPaths = Strings{d.text()}, Strings{d.text()}
	r.User.ID, r.User.Name, r.User.ExternalID = d.text(), d.text(), d.text()
	s.ID, s.PlanID, s.Plan = d.text(), d.text(), d.text()

	if d.torn || d.rest != "" || !r.sound() {
		return Record{}, ErrTorn
	}
	return r, nil
}

// sound reports whether every list is whole and every state is a known one.
func (r *Record) sound() bool {
	k := &r.Key
	return k.Kind <= KindManagement && k.Environment <= Test && r.Subscription.Status < subscriptionStatuses &&
		r.DependsOn.valid() && r.Needs.valid() && k.Scopes.valid() &&
		k.AllowCIDRs.valid() && k.DenyCIDRs.valid() && k.AllowMethods.valid() && k.AllowPaths.valid()
}

// decoder cuts pieces off a string; once something is missing it is torn and
// yields nothing more.
type decoder struct {
	rest string
	torn bool
}

func (d *decoder) take(n int) string {
	if n > len(d.rest) || n < 0 {
		d.torn, d.rest = true, ""
		return ""
	}
	piece := d.rest[:n]
	d.rest = d.rest[n:]
	return piece
}

func (d *decoder) integer() int64 {
	b := d.take(8)
	if len(b) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(unsafeBytes(b)))
}

func (d *decoder) text() string {
	if d.rest == "" {
		d.torn = true
		return ""
	}
	n, size := uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)) {
		d.torn, d.rest = true, ""
		return ""
	}
	d.rest = d.rest[size:]
	return d.take(int(n))
}
