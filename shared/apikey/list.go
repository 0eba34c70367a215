package apikey

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"unsafe"
)

// Strings is an immutable list of strings packed into one: per element its
// length as an unsigned varint, then its bytes. A list that was read from a
// cache entry is a view of that entry, so reading a record allocates nothing.
// The zero value is the empty list.
type Strings struct{ packed string }

// NewStrings packs the elements.
func NewStrings(elements ...string) Strings {
	if len(elements) == 0 {
		return Strings{}
	}
	var b []byte
	for _, e := range elements {
		b = binary.AppendUvarint(b, uint64(len(e)))
		b = append(b, e...)
	}
	return Strings{packed: string(b)}
}

// Empty reports whether the list has no element.
func (l Strings) Empty() bool { return l.packed == "" }

// All yields the elements in order. A torn list ends early; lists are checked
// when they are decoded (valid), so one that got that far is whole.
func (l Strings) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := l.packed; rest != ""; {
			n, size := uvarint(rest)
			if size <= 0 || n > uint64(len(rest)-size) {
				return
			}
			end := size + int(n)
			if !yield(rest[size:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// Slice returns the elements as a slice of its own, never nil.
func (l Strings) Slice() []string {
	s := []string{}
	for e := range l.All() {
		s = append(s, e)
	}
	return s
}

// MarshalJSON writes a JSON array, [] where the list is empty.
func (l Strings) MarshalJSON() ([]byte, error) { return json.Marshal(l.Slice()) }

// UnmarshalJSON reads a JSON array of strings.
func (l *Strings) UnmarshalJSON(b []byte) error {
	var s []string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*l = NewStrings(s...)
	return nil
}

// valid reports whether the packing is whole.
func (l Strings) valid() bool {
	for rest := l.packed; rest != ""; {
		n, size := uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return false
		}
		rest = rest[size+int(n):]
	}
	return true
}

func uvarint(s string) (uint64, int) {
	if s[0] < 0x80 { // most lengths
		return uint64(s[0]), 1
	}
	return binary.Uvarint(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// cidrLen is the packed size of a network: its bits, then its address in 16
// bytes (IPv4 as IPv4-mapped).
const cidrLen = 17

// CIDRs is an immutable list of networks, packed like Strings. The zero value
// is the empty list.
type CIDRs struct{ packed string }

// NewCIDRs packs the networks, which must be valid. IPv4 and IPv4-mapped IPv6 networks are the same.
func NewCIDRs(networks ...netip.Prefix) CIDRs {
	b := make([]byte, 0, len(networks)*cidrLen)
	for _, n := range networks {
		bits := n.Bits()
		if n.Addr().Is4() {
			bits += 96
		}
		addr := n.Masked().Addr().As16()
		b = append(append(b, byte(bits)), addr[:]...)
	}
	return CIDRs{packed: string(b)}
}

// Empty reports whether the list has no network.
func (l CIDRs) Empty() bool { return l.packed == "" }

// Contains reports whether an address lies in one of the networks. The zero
// address lies in none, an IPv4 address in none of IPv6, "::/0" included.
func (l CIDRs) Contains(ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	addr, least := ip.As16(), byte(0)
	if ip.Is4() || ip.Is4In6() {
		least = 96 // shorter ones reach beyond ::ffff:0:0/96
	}
	for rest := l.packed; len(rest) >= cidrLen; rest = rest[cidrLen:] {
		if rest[0] >= least && samePrefix(rest[1:cidrLen], &addr, int(rest[0])) {
			return true
		}
	}
	return false
}

func samePrefix(network string, addr *[16]byte, bits int) bool {
	whole := bits / 8
	if network[:whole] != unsafe.String(&addr[0], whole) {
		return false
	}
	if bits%8 == 0 {
		return true
	}
	mask := byte(0xff) << (8 - bits%8)
	return network[whole]&mask == addr[whole]&mask
}

// ParseNetwork reads a network in CIDR notation, or an address that stands for
// itself alone, and masks it. IPv4 that is written as IPv6 is IPv4; what is wider
// than all of it, such as ::ffff:0.0.0.0/90, is neither, and an error.
func ParseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err == nil && network.Addr().Is4In6() {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	if err != nil || !network.IsValid() {
		return netip.Prefix{}, errors.New("want a network such as 203.0.113.0/24 or 2001:db8::/32")
	}
	return network.Masked(), nil
}

// Prefixes returns the networks; IPv4 ones in their own form.
func (l CIDRs) Prefixes() []netip.Prefix {
	all := []netip.Prefix{}
	for rest := l.packed; len(rest) >= cidrLen; rest = rest[cidrLen:] {
		addr, bits := netip.AddrFrom16([16]byte([]byte(rest[1:cidrLen]))), int(rest[0])
		if addr.Is4In6() && bits >= 96 {
			addr, bits = addr.Unmap(), bits-96
		}
		all = append(all, netip.PrefixFrom(addr, bits))
	}
	return all
}

// MarshalJSON writes a JSON array of networks in CIDR notation.
func (l CIDRs) MarshalJSON() ([]byte, error) { return json.Marshal(l.Prefixes()) }

// UnmarshalJSON reads a JSON array of networks in CIDR notation.
func (l *CIDRs) UnmarshalJSON(b []byte) error {
	var networks []netip.Prefix
	if err := json.Unmarshal(b, &networks); err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	for _, n := range networks {
		if !n.IsValid() {
			return fmt.Errorf("networks: an empty one")
		}
	}
	*l = NewCIDRs(networks...)
	return nil
}

func (l CIDRs) valid() bool {
	if len(l.packed)%cidrLen != 0 {
		return false
	}
	for i := 0; i < len(l.packed); i += cidrLen {
		if l.packed[i] > 128 {
			return false
		}
	}
	return true
}
