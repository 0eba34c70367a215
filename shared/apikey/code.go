package apikey

import (
	"fmt"
	"net/http"
)

// Code is the outcome of judging one request. The list is closed, and its
// order is the order in which the checks are made: of two reasons to refuse,
// the one that stands first here is answered.
type Code uint8

// The codes, by the status that a door answers with. Undecided is first so
// that a zero Code can never be mistaken for an admission.
const (
	Undecided Code = iota // 503: no decision could be made; never an admission

	MissingCredential   // 401: the request carried no key at all
	AmbiguousCredential // 400: more than one, at a door that takes exactly one
	Malformed           // 401: not the shape, alphabet, length or checksum of a key
	KeyNotFound         // 401: no such key, or a key of another kind
	Revoked             // 401
	Retired             // 401: rotated away, and its overlap is over
	Disabled            // 401
	NotYetValid         // 401
	Expired             // 401
	TrialEnded          // 401: the subscription's trial is over

	OwnerDisabled       // 403
	PlanInactive        // 403: the subscription is paused or has ended
	EnvironmentMismatch // 403: a test key where a live one is asked for, or the reverse
	IPNotAllowed        // 403
	MethodNotAllowed    // 403
	PathNotAllowed      // 403
	InsufficientScope   // 403

	Valid // 200
	codes // how many there are
)

var codeNames = [codes]string{
	Undecided:           "UNDECIDED",
	MissingCredential:   "MISSING_CREDENTIAL",
	AmbiguousCredential: "AMBIGUOUS_CREDENTIAL",
	Malformed:           "MALFORMED",
	KeyNotFound:         "KEY_NOT_FOUND",
	Revoked:             "REVOKED",
	Retired:             "RETIRED",
	Disabled:            "DISABLED",
	NotYetValid:         "NOT_YET_VALID",
	Expired:             "EXPIRED",
	TrialEnded:          "TRIAL_ENDED",
	OwnerDisabled:       "OWNER_DISABLED",
	PlanInactive:        "PLAN_INACTIVE",
	EnvironmentMismatch: "ENVIRONMENT_MISMATCH",
	IPNotAllowed:        "IP_NOT_ALLOWED",
	MethodNotAllowed:    "METHOD_NOT_ALLOWED",
	PathNotAllowed:      "PATH_NOT_ALLOWED",
	InsufficientScope:   "INSUFFICIENT_SCOPE",
	Valid:               "VALID",
}

// Codes returns every code there is, in the order of the checks.
func Codes() []Code {
	all := make([]Code, codes)
	for i := range all {
		all[i] = Code(i)
	}
	return all
}

// String returns the code as it is written on the wire, such as "REVOKED".
func (c Code) String() string {
	if c >= codes {
		return codeNames[Undecided]
	}
	return codeNames[c]
}

// MarshalText writes the code as String does.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Code) UnmarshalText(b []byte) error {
	for i, name := range codeNames {
		if name == string(b) {
			*c = Code(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict code")
}

// Status returns the HTTP status that a door answers with.
func (c Code) Status() int {
	switch {
	case c == Undecided || c >= codes:
		return http.StatusServiceUnavailable
	case c == AmbiguousCredential:
		return http.StatusBadRequest
	case c <= TrialEnded:
		return http.StatusUnauthorized
	case c < Valid:
		return http.StatusForbidden
	}
	return http.StatusOK
}
