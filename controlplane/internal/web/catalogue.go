package web

import (
	"net/http"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/problem"
)

// Code is an error code as clients see it, of whatever origin: a verdict, a
// fault of a domain, or HTTP itself.
type Code string

// The codes of HTTP itself.
const (
	CodeMalformed          Code = "MALFORMED_REQUEST"
	CodeNoBody             Code = "NO_BODY"
	CodeTimeout            Code = "REQUEST_TIMEOUT"
	CodeTooLarge           Code = "TOO_LARGE"
	CodeMediaType          Code = "UNSUPPORTED_MEDIA_TYPE"
	CodeMethodNotSupported Code = "METHOD_NOT_SUPPORTED"  // not the verdict METHOD_NOT_ALLOWED
	CodeConnection         Code = "BAD_CONNECTION_HEADER" // a gateway's alone
	CodeOverloaded         Code = "OVERLOADED"
	CodeCrossOrigin        Code = "CROSS_ORIGIN"
)

// Entry is what the catalogue says about one code, in English. The texts in other
// languages stand beside these, under the same code: see In.
type Entry struct {
	Code   Code
	Status int    // the usual one; a fault's kind has the last word
	Title  string // a few words, the same for every occurrence
	Detail string // the explanation, and the default of Problem.Detail
	Fix    string // what the reader can do about it
}

// Slug is the code as it stands in an address, such as "key-not-found".
func (e Entry) Slug() string { return e.Code.Slug() }

// Slug is the code as it stands in an address, such as "key-not-found".
func (c Code) Slug() string { return strings.ReplaceAll(strings.ToLower(string(c)), "_", "-") }

// Catalogue returns every code there is: those of verdicts in the order of the
// checks, then the faults, then HTTP's own.
func Catalogue() []Entry { return catalogue }

// Lookup returns the entry of a code.
func Lookup(c Code) (Entry, bool) {
	e, ok := byCode[c]
	return e, ok
}

var byCode = func() map[Code]Entry {
	m := make(map[Code]Entry, len(catalogue))
	for _, e := range catalogue {
		m[e.Code] = e
	}
	return m
}()

// verdicts are the entries that both programs refuse keys with.
func verdicts() (all []Entry) {
	for _, e := range problem.Entries() {
		all = append(all, Entry{Code: Code(e.Code.String()), Status: e.Code.Status(), Title: e.Title, Detail: e.Detail, Fix: e.Fix})
	}
	return all
}

func faulty(c fault.Code, status int, title, detail, fix string) Entry {
	return Entry{Code: Code(c), Status: status, Title: title, Detail: detail, Fix: fix}
}

// catalogue's first entries, those of the verdicts, are in shared/problem.
var catalogue = append(verdicts(), []Entry{
	faulty(fault.CodeInternal, http.StatusInternalServerError, "Internal error", "Something went wrong here. The cause is in the server's log under this request id.",
		"Try again; if it stays, report the request id to the operator."),
	faulty(fault.CodeInvalid, http.StatusUnprocessableEntity, "Value not acceptable", "The request can be read, but something in it breaks a rule: a value, or a name that there is not, that is in another case, or that stands twice.",
		"Correct what errors names."),
	faulty(fault.CodeUnauthorized, http.StatusUnauthorized, "Not authenticated", "This needs a credential, and none that is good was sent.",
		"Send a management key: Authorization: Bearer."),
	faulty(fault.CodeForbidden, http.StatusForbidden, "Not allowed", "The credential is good, but does not allow this.",
		"Use a credential that holds the scope named in detail."),
	faulty(fault.CodeNotFound, http.StatusNotFound, "Not found", "There is no such thing here, or none that this credential may see.",
		"Check the address and the id in it."),
	faulty(fault.CodeConflict, http.StatusConflict, "Conflict", "The present state does not allow this.",
		"Read the thing again and decide anew."),
	faulty(fault.CodeTaken, http.StatusConflict, "Already exists", "Another thing has this name already: a username, an external id, a slug, the label of a live key; or the user is on this plan already.",
		"Choose another name, or use the thing that exists."),
	faulty(fault.CodeOutdated, http.StatusPreconditionFailed, "Outdated", "The thing changed since it was read: If-Match names an older version.",
		"Read it again and repeat the change on what is there now."),
	faulty(fault.CodeUnavailable, http.StatusServiceUnavailable, "Unavailable", "This cannot be done now.",
		"Try again after the time in Retry-After."),

	faulty(fault.CodeTooMany, http.StatusTooManyRequests, "Too many attempts", "This was tried too often; the attempt was not looked at.",
		"Try again after the time in Retry-After."),

	// The domains' own. They are written out, for web knows no domain; a test
	// finds the codes that are missing here.
	faulty("SETUP_CLOSED", http.StatusConflict, "Set-up is over", "The set-up window has closed for good: there is an owner or a management key.",
		"Use a management key, or make one with latchkey keys issue --management."),

	faulty("LAST_OWNER", http.StatusConflict, "The last owner", "Nobody would be left who can sign in as an owner.",
		"Make another user an owner first, with a password, and leave that one enabled."),
	faulty("MAX_KEYS_EXCEEDED", http.StatusConflict, "Too many keys", "The owner would hold more live keys than max_keys of the user or the plan allows.",
		"Revoke a key that is not needed, or have max_keys raised. Rotating a key does not count."),
	faulty("IDEMPOTENCY_KEY_REUSED", http.StatusUnprocessableEntity, "Idempotency-Key reused", "Another request was made under this Idempotency-Key in the last 24 hours.",
		"Take a new Idempotency-Key for a new request; repeat the old one unchanged."),
	faulty("AMBIGUOUS_START", http.StatusConflict, "Several keys", "Several keys start like this.",
		"Add last4 with the last four characters of the key, or use the key's id."),
	faulty("NOT_ROTATABLE", http.StatusConflict, "Cannot be rotated", "The key is neither good nor to be, has a successor already, or may not be rotated by its holder.",
		"Rotate the successor, or ask the operator."),

	faulty("WRONG_CREDENTIALS", http.StatusUnauthorized, "Not signed in", "There is no user with this username or email address and this password who may sign in.",
		"Check both and try again; an administrator can set another password."),
	faulty("SESSION_ENDED", http.StatusUnauthorized, "Session over", "The session has ended: its time is over, it was signed out, or the user was disabled or got another password.",
		"Sign in again."),
	faulty("COOKIE_NEEDS_HTTPS", http.StatusForbidden, "HTTPS needed to sign in", "COOKIE_SECURE is on and this came over plain HTTP: the browser would not keep the session.",
		"Use the https address. Where a proxy in front ends TLS, name it in TRUSTED_PROXIES and let it send X-Forwarded-Proto. On a closed network without TLS set COOKIE_SECURE=false."),
	{CodeCrossOrigin, http.StatusForbidden, "Request of another site", "A browser sent this on behalf of a page of another origin; it was not carried out.",
		"Use the pages of this installation. Behind a proxy that changes the Host header, set PUBLIC_URL."},

	{CodeMalformed, http.StatusBadRequest, "Malformed request", "The request cannot be read: its body is not one JSON value (RFC 8259) with each member name once.",
		"Correct the syntax at the place named in errors."},
	{CodeNoBody, http.StatusBadRequest, "No body", "This needs a JSON body, and none was sent.",
		"Send the body that the documentation of the operation shows."},
	{CodeTimeout, http.StatusRequestTimeout, "Request too slow", "The body did not arrive in time.",
		"Send the request again."},
	{CodeTooLarge, http.StatusRequestEntityTooLarge, "Body too large", "The body is larger than 1 MiB.",
		"Send less at once."},
	{CodeMediaType, http.StatusUnsupportedMediaType, "Not JSON", "The Content-Type is absent or not JSON.",
		"Send Content-Type: application/json."},
	{CodeMethodNotSupported, http.StatusMethodNotAllowed, "Method not supported", "This address does not take this HTTP method.",
		"Use one of the methods in the Allow header."},
	{CodeConnection, http.StatusBadRequest, "Connection header not acceptable", "The request's Connection header names a header by which the gateway tells the service who calls; it would not have arrived.",
		"Name in Connection only what is about the connection, or send none."},
	{CodeOverloaded, http.StatusServiceUnavailable, "Overloaded", "Too many requests are in work; this one was not begun.",
		"Try again after the time in Retry-After."},
}...)
