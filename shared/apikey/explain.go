package apikey

// Check is one of the checks that Decide makes.
type Check struct {
	Code   Code // what a request is answered whose first failing check this is
	Failed bool
}

// checks are those of Decide, in its order, one for each code that a record and
// a request can lead to. Decide itself is a switch, for it is what every request
// waits for and stops at the first failure; a property keeps the two alike.
var checks = [...]struct {
	code  Code
	fails func(now Instant, r *Record, req *Request) bool
}{
	{Undecided, func(_ Instant, r *Record, _ *Request) bool { return !r.Needs.Empty() }},
	{KeyNotFound, func(_ Instant, r *Record, req *Request) bool { return r.Key.Kind != req.Kind }},
	{Revoked, func(_ Instant, r *Record, _ *Request) bool { return r.Key.RevokedAt != 0 }},
	{Retired, func(now Instant, r *Record, _ *Request) bool { return r.Key.RetiresAt.passed(now) }},
	{Disabled, func(_ Instant, r *Record, _ *Request) bool { return r.Key.Disabled }},
	{NotYetValid, func(now Instant, r *Record, _ *Request) bool { return r.Key.NotBefore > now }},
	{Expired, func(now Instant, r *Record, _ *Request) bool { return r.Key.ExpiresAt.passed(now) }},
	{TrialEnded, func(now Instant, r *Record, _ *Request) bool { return r.Subscription.at(now) == TrialEnded }},
	{OwnerDisabled, func(_ Instant, r *Record, _ *Request) bool { return r.User.Disabled }},
	{PlanInactive, func(now Instant, r *Record, _ *Request) bool { return r.Subscription.at(now) == PlanInactive }},
	{EnvironmentMismatch, func(_ Instant, r *Record, req *Request) bool {
		return req.Environment != AnyEnvironment && req.Environment != r.Key.Environment
	}},
	{IPNotAllowed, func(_ Instant, r *Record, req *Request) bool { return !r.Key.ipAllowed(req) }},
	{MethodNotAllowed, func(_ Instant, r *Record, req *Request) bool { return !r.Key.methodAllowed(req) }},
	{PathNotAllowed, func(_ Instant, r *Record, req *Request) bool { return !r.Key.pathAllowed(req) }},
	{InsufficientScope, func(_ Instant, r *Record, req *Request) bool { return r.MissingScope(req) != "" }},
}

// Explain makes every check of Decide, also those behind the first that fails,
// in the same order. The code of the first that fails is what Decide answers,
// Valid where none does.
func Explain(now Instant, r *Record, req *Request) []Check {
	made := make([]Check, len(checks))
	for i, c := range checks {
		made[i] = Check{Code: c.code, Failed: c.fails(now, r, req)}
	}
	return made
}
