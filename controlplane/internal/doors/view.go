package doors

import (
	"encoding/json"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// AuthAnswer documents the body of a 200; writeValid writes it.
type AuthAnswer struct {
	Valid        bool              `json:"valid" doc:"Always true: every other verdict is a problem." example:"true"`
	Code         string            `json:"code" doc:"Always VALID." example:"VALID"`
	RequestID    string            `json:"request_id" doc:"The id of this request, also in X-Request-Id." example:"TQ4ZCNY3IWCJRLWZ5UGR7XQY2S"`
	Key          AuthKey           `json:"key" doc:"The key that was judged."`
	User         AuthUser          `json:"user" doc:"Who holds it."`
	Subscription *AuthSubscription `json:"subscription,omitempty" doc:"The subscription that it is under, where it has one."`
}

// AuthKey is what a door tells of a key.
type AuthKey struct {
	ID          string         `json:"id" doc:"The key's id." example:"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Name        string         `json:"name" doc:"The key's name." example:"ci"`
	Environment string         `json:"environment" enum:"live,test" doc:"What the key is for." example:"live"`
	Scopes      []string       `json:"scopes" doc:"The effective scopes: what the key carries, within its plan." example:"[\"reports:read\"]"`
	ExpiresAt   *time.Time     `json:"expires_at" doc:"The first moment at which the key is not good any more, by its expiry, a rotation that is due or the overlap of one that was made; or null."`
	Metadata    map[string]any `json:"metadata" doc:"What the key's owner noted with it, a JSON object."`
}

// AuthUser is what a door tells of a key's owner.
type AuthUser struct {
	ID         string  `json:"id" doc:"The user's id." example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a71"`
	ExternalID *string `json:"external_id" doc:"The user's id in the operator's own system, or null." example:"customer-7"`
}

// AuthSubscription is what a door tells of a subscription.
type AuthSubscription struct {
	ID          string     `json:"id" doc:"The subscription's id." example:"sub_0190c2f57d3a7c3e8f5a2b6d1c9e4a72"`
	Plan        string     `json:"plan" doc:"The plan's slug." example:"pro"`
	Status      string     `json:"status" enum:"active,trialing,trial_ended,paused,canceled,ended" doc:"What the subscription is by the clock." example:"active"`
	TrialEndsAt *time.Time `json:"trial_ends_at" doc:"The end of the trial, or null."`
	PeriodEnd   *time.Time `json:"period_end" doc:"The end of the period that is paid for, or null."`
}

func viewKey(k *apikey.Key) *AuthKey {
	v := &AuthKey{
		ID: k.ID, Name: k.Name, Environment: k.Environment.String(), Scopes: k.Scopes.Slice(),
		ExpiresAt: moment(k.EndsAt()), Metadata: map[string]any{},
	}
	_ = json.Unmarshal([]byte(k.Metadata), &v.Metadata) // an object, or empty
	return v
}

func viewUser(u *apikey.User) *AuthUser {
	v := &AuthUser{ID: u.ID}
	if u.ExternalID != "" {
		v.ExternalID = &u.ExternalID
	}
	return v
}

// viewSubscription shows what the subscription was at the moment of the verdict.
func viewSubscription(s *apikey.Subscription, at apikey.Instant) *AuthSubscription {
	if s.ID == "" {
		return nil
	}
	return &AuthSubscription{
		ID: s.ID, Plan: s.Plan, Status: s.Standing(at),
		TrialEndsAt: moment(s.TrialEndsAt), PeriodEnd: moment(s.PeriodEnd),
	}
}

func moment(i apikey.Instant) *time.Time {
	if i == 0 {
		return nil
	}
	t := i.Time()
	return &t
}
