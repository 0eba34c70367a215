// Package access is what the plugin does with one request: find the credential,
// have it judged, and let the request on with the caller's identity or refuse it.
//
//	Kong ──policy──► Configure ──► handler (one per route and worker)
//	Kong ──request─► handler ─► all headers ─► credential ─► Parse ─► Judge
//	                              Valid: one SetUpstream     else: one Exit
//
// It owns a route's policy with its defaults, where a credential may stand, the
// identity headers and the form of a refusal. The rules about keys are in
// shared/apikey, asked through Judge. main.go makes one Gate for the process,
// plugin/server calls Configure and the handlers, any number at the same time.
//
// Every call into Kong costs more than the judging, so calls are the budget: one
// reads all headers, one admits or refuses; everything else is asked for only
// when something needs it. To set or clear a header costs Kong more than to tell
// of one, so what was sent is read and only that is cleared.
//
// Invariants: a request goes on only after a Valid verdict, or without any
// credential where the policy says so; no header by which the upstream knows the
// caller is ever the client's, nor taken away by what the client says of its
// connection; the credential does not reach the upstream unless
// the policy says so, nor any log.
package access
