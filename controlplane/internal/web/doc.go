// Package web is what the HTTP adapters share: problem details, the chain that
// every request passes, the guard of JSON bodies, who calls and from where.
//
//	request ──Chain──► begin · observe · recover · secure · cors · bound ──► mux ──► adapter
//	                     └ one exchange in the context: id, client address, Line, settings
//
// It owns the catalogue of error codes (code, status, title, explanation, fix):
// an answer that is not a success is a Problem of that list. Adapters (api,
// doors, docs) call it; it knows none of them.
//
// Invariants: the text of an error that is not a fault reaches no client; no
// log line holds a query string, a body or a header; every response carries
// X-Request-Id; what a request sent is named by its place, never repeated.
package web
