// Package validator judges requests by their key: it finds the key's record, in
// a bigcache-backed cache or by one look-up, and asks apikey.Decide.
//
//	door ──Request──► Validate ──► cached? ──yes──► Decide ──► Verdict
//	                                  │ no, stale, or fresher wanted
//	                                  ▼
//	                    one flight per fingerprint ──► Source
//	                    (miss budget, bounded, limited in time)
//	what is admitted ──Note──► meter
//	change feed ──Reset, Apply, Heard──► what is stale, and whether the cache counts
//
// It owns the caches, the table of what changed last, the look-ups and their
// budget. Doors of both programs call Validate; one goroutine, the reader of the
// change feed, calls Reset and Heard. Apply may also be called by whoever made
// the change, ahead of the feed.
//
// Invariants:
//   - A request that starts after Apply of a forgetting change has returned is
//     never judged by a record older than that change.
//   - What cannot be decided is Undecided, never another code. Nothing that the
//     cache or the Source holds, garbage included, makes Validate panic or admit.
//   - Memory, goroutines and look-ups are bounded, whatever clients send.
package validator
