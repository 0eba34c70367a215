// Package bootstrap owns the set-up window: while an installation has no owner
// and no management key, a set-up token opens the door for making the first.
//
// Invariants: the window closes for good, in the same transaction, when the
// first owner or management key is made; its end is a stored fact; tokens are
// stored as fingerprints only. Called by serve, which prints a token at every
// start, and by the admin API, which admits by it.
package bootstrap

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// KeptTokens is how many tokens work at once: each replica prints its own.
const KeptTokens = 8

// CodeClosed is the code of an answer to somebody who came too late.
const CodeClosed fault.Code = "SETUP_CLOSED"

// Store keeps the window. The stores of users and keys close it.
type Store interface {
	Open(ctx context.Context) (bool, error)
	// AddToken keeps a token's fingerprint, and drops all but the newest
	// KeptTokens. It reports false, and keeps nothing, when the window is closed.
	AddToken(ctx context.Context, token apikey.Fingerprint) (bool, error)
	// HasToken reports whether the window is open and the token is kept.
	HasToken(ctx context.Context, token apikey.Fingerprint) (bool, error)
}

// Service is what may be done with the window. Safe for concurrent use.
type Service struct {
	store  Store
	prefix string
	// unguarded: nobody is asked for a token (BOOTSTRAP_OPEN).
	unguarded bool
}

// New returns the service. unguarded drops the token, for closed networks.
func New(store Store, prefix string, unguarded bool) *Service {
	return &Service{store: store, prefix: prefix, unguarded: unguarded}
}

// Token returns a fresh set-up token; ok is false when the window is closed.
func (s *Service) Token(ctx context.Context) (token apikey.Secret, ok bool, err error) {
	token = apikey.NewSecret(s.prefix, apikey.KindSetup, apikey.AnyEnvironment)
	ok, err = s.store.AddToken(ctx, token.Fingerprint())
	return token, ok, err
}

// Admit returns the set-up window's caller to whoever shows a token.
func (s *Service) Admit(ctx context.Context, token apikey.Fingerprint) (access.Caller, error) {
	ok, err := s.store.HasToken(ctx, token)
	if err != nil {
		return access.Caller{}, err
	}
	if !ok {
		return access.Caller{}, fault.New(fault.Unauthorized, "this set-up token is not good: the set-up is done, or the token is an older one").
			WithCode(CodeClosed).WithFix("use a management key; `latchkey keys issue --management` makes one")
	}
	return access.Caller{Actor: access.Actor{Kind: access.ActorSetup}}, nil
}

// AdmitUnguarded returns the set-up window's caller to anybody, where that is
// configured and the window is open; ok is false otherwise.
func (s *Service) AdmitUnguarded(ctx context.Context) (caller access.Caller, ok bool, err error) {
	if !s.unguarded {
		return access.Caller{}, false, nil
	}
	open, err := s.store.Open(ctx)
	if err != nil || !open {
		return access.Caller{}, false, err
	}
	return access.Caller{Actor: access.Actor{Kind: access.ActorSetup}}, true, nil
}
