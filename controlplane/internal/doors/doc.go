// Package doors is where keys are shown: POST /v1/auth, POST /v1/verify for many
// at once and POST /v1/auth/explain for operators; and what anybody may read
// beside it, the price list.
//
//	body ──read──► authRequest ──► Parse (shape, checksum) ──► Judge ──► 200 or a problem
//	                   └ Authorization: a management key with auth:on-behalf is
//	                     believed about the client's address, method and path
//
// It owns the protocol of each door and no rule about keys: those are in
// shared/apikey, asked through Judge. The app package registers it on the public
// listener; the api package lets Describe add it to the OpenAPI document, for
// the handler is written by hand, without reflection, because every request of
// every protected service may pass it.
//
// Invariants: what is not a Valid verdict is never answered 200; a key is never
// repeated, whether good or bad; a credential that cannot be a key is refused
// without any look-up.
package doors
