// Package apikey is the pure heart of Latchkey: what a key looks like, what is
// known about it, what a request asks, and whether the one admits the other.
//
//	credential ──Parse──► Token (shape and checksum proven, no I/O)
//	                        └─Fingerprint──► the only form of a key that travels
//	Record + Request + now ──Decide──► Code
//
// It owns the token format, the Record and its binary form, the closed list of
// verdict codes and the order of the checks. Everything in it is a value or a
// function of its arguments: no clock, no I/O, no logger, no global state. Both
// programs, the control plane and the gateway plugin, judge keys with exactly
// this code.
//
// Invariant: a Record that cannot be read, or that asks for a check this build
// does not know, never becomes Valid.
package apikey
