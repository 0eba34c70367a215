package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"unsafe"
)

// Fingerprint is SHA-256 of a whole credential (FIPS 180-4). A door makes it
// at once, and from then on only it travels. A key has 190 random bits, so its
// fingerprint cannot be turned back; the control plane still never stores it
// as it is, but under a keyed digest.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns the fingerprint of a credential.
func FingerprintOf(credential string) Fingerprint {
	return sha256.Sum256(unsafeBytes(credential))
}

// ParseFingerprint reads the 64 hexadecimal digits that String writes.
func ParseFingerprint(s string) (f Fingerprint, err error) {
	if len(s) != hex.EncodedLen(len(f)) {
		return f, fmt.Errorf("a fingerprint is %d hexadecimal digits", hex.EncodedLen(len(f)))
	}
	if _, err := hex.Decode(f[:], []byte(s)); err != nil {
		return Fingerprint{}, fmt.Errorf("a fingerprint is %d hexadecimal digits", hex.EncodedLen(len(f)))
	}
	return f, nil
}

// String returns 64 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// unsafeBytes views a string as bytes that are only read; a copy of the key
// would be one more place where it lies in memory.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
