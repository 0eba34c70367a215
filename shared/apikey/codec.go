package apikey

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// An encoded record is, all integers little-endian:
//
//	version u8 | flags u8 | kind u8 | environment u8 | subscription status u8
//	| 8 × integer i64 | 16 × length of text u32 | the texts, one after the other
//
// Fixed places instead of varints: reading costs one check for all.
const (
	// codecVersion rises with every change of the encoding. Older versions need
	// not be read: what keeps encoded records for another process (a gateway's
	// snapshot) goes without those that it cannot read.
	codecVersion = 3

	codecIntegers = 8
	codecTexts    = 16

	integersAt = 5
	lengthsAt  = integersAt + 8*codecIntegers
	textsAt    = lengthsAt + 4*codecTexts

	flagKeyDisabled  = 1
	flagUserDisabled = 2
)

// ErrTorn is returned for bytes that are not a whole encoded record.
var ErrTorn = errors.New("apikey: torn record")

// errLong is returned for a record with a text or list of 4 GiB.
var errLong = errors.New("apikey: a record's text is too long to encode")

// AppendBinary appends the form of the record that DecodeRecord reads.
func (r *Record) AppendBinary(b []byte) ([]byte, error) {
	k, s := &r.Key, &r.Subscription
	flags := byte(0)
	if k.Disabled {
		flags |= flagKeyDisabled
	}
	if r.User.Disabled {
		flags |= flagUserDisabled
	}
	b = append(b, codecVersion, flags, byte(k.Kind), byte(k.Environment), byte(s.Status))
	for _, n := range [codecIntegers]int64{
		r.Change, int64(k.NotBefore), int64(k.ExpiresAt), int64(k.RetiresAt), int64(k.RevokedAt),
		int64(s.TrialEndsAt), int64(s.PeriodEnd), int64(k.RotateBy),
	} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	texts := [codecTexts]string{
		r.DependsOn.packed, r.Needs.packed,
		k.ID, k.Name, k.Scopes.packed, k.Metadata,
		k.AllowCIDRs.packed, k.DenyCIDRs.packed, k.AllowMethods.packed, k.AllowPaths.packed,
		r.User.ID, r.User.Name, r.User.ExternalID,
		s.ID, s.PlanID, s.Plan,
	}
	for _, text := range texts {
		if uint64(len(text)) > math.MaxUint32 {
			return nil, errLong
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	}
	for _, text := range texts {
		b = append(b, text...)
	}
	return b, nil
}

// DecodeRecord reads what AppendBinary wrote into r. The record's texts are
// views of b, which must never change afterwards. It allocates nothing. Bytes
// that are cut short, have something after their end, or hold a list or state
// that could not have been written are ErrTorn; r is the zero Record then.
func DecodeRecord(b []byte, r *Record) error {
	if !decode(b, r) || !r.sound() {
		*r = Record{}
		return ErrTorn
	}
	return nil
}

func decode(b []byte, r *Record) bool {
	if len(b) < textsAt || b[0] != codecVersion || b[1]&^(flagKeyDisabled|flagUserDisabled) != 0 {
		return false
	}
	k, s := &r.Key, &r.Subscription
	k.Disabled, r.User.Disabled = b[1]&flagKeyDisabled != 0, b[1]&flagUserDisabled != 0
	k.Kind, k.Environment, s.Status = Kind(b[2]), Environment(b[3]), SubscriptionStatus(b[4])

	integers := (*[8 * codecIntegers]byte)(b[integersAt:])
	r.Change = int64(binary.LittleEndian.Uint64(integers[0:]))
	k.NotBefore = Instant(binary.LittleEndian.Uint64(integers[8:]))
	k.ExpiresAt = Instant(binary.LittleEndian.Uint64(integers[16:]))
	k.RetiresAt = Instant(binary.LittleEndian.Uint64(integers[24:]))
	k.RevokedAt = Instant(binary.LittleEndian.Uint64(integers[32:]))
	s.TrialEndsAt = Instant(binary.LittleEndian.Uint64(integers[40:]))
	s.PeriodEnd = Instant(binary.LittleEndian.Uint64(integers[48:]))
	k.RotateBy = Instant(binary.LittleEndian.Uint64(integers[56:]))

	d := decoder{lengths: (*[4 * codecTexts]byte)(b[lengthsAt:]), rest: unsafe.String(unsafe.SliceData(b), len(b))[textsAt:]}
	r.DependsOn.packed, r.Needs.packed = d.text(0), d.text(1)
	k.ID, k.Name, k.Scopes.packed, k.Metadata = d.text(2), d.text(3), d.text(4), d.text(5)
	k.AllowCIDRs.packed, k.DenyCIDRs.packed = d.text(6), d.text(7)
	k.AllowMethods.packed, k.AllowPaths.packed = d.text(8), d.text(9)
	r.User.ID, r.User.Name, r.User.ExternalID = d.text(10), d.text(11), d.text(12)
	s.ID, s.PlanID, s.Plan = d.text(13), d.text(14), d.text(15)
	return !d.torn && d.rest == ""
}

// sound reports whether every list is whole and every state is a known one.
func (r *Record) sound() bool {
	k := &r.Key
	return k.Kind <= KindManagement && k.Environment <= Test && r.Subscription.Status < subscriptionStatuses &&
		r.DependsOn.valid() && r.Needs.valid() && k.Scopes.valid() &&
		k.AllowCIDRs.valid() && k.DenyCIDRs.valid() && k.AllowMethods.valid() && k.AllowPaths.valid()
}

// decoder cuts the texts off a string, in order; once one is missing it is
// torn.
type decoder struct {
	lengths *[4 * codecTexts]byte
	rest    string
	torn    bool
}

func (d *decoder) text(i int) string {
	n := uint64(binary.LittleEndian.Uint32(d.lengths[4*i:]))
	if n > uint64(len(d.rest)) {
		d.torn = true
		return ""
	}
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}
