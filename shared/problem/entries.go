package problem

import "github.com/latchkey/latchkey/shared/apikey"

var entries = func() []Entry {
	all := make([]Entry, apikey.Valid)
	for _, e := range texts {
		all[e.Code] = e
	}
	return all
}()

var texts = []Entry{
	{apikey.MissingCredential, "No key",
		"The request carries no key.",
		"Send the key: as auth_key in the body of POST /v1/auth, elsewhere as Authorization: Bearer."},
	{apikey.AmbiguousCredential, "More than one key",
		"The request carries more than one credential, or more headers than can be looked at, so it is not clear which one counts.",
		"Send the key once and in one place."},
	{apikey.Malformed, "Not a key",
		"What was sent cannot be a key: its prefix, length, alphabet or checksum is wrong.",
		"Copy the whole key again; a character is missing, added or changed."},
	{apikey.KeyNotFound, "Unknown key",
		"There is no such key here, or it is a key of another kind.",
		"Check that the key belongs to this installation and was not deleted."},
	{apikey.Revoked, "Key revoked",
		"The key was revoked and opens nothing any more.",
		"Ask for a new key."},
	{apikey.Retired, "Key retired",
		"The key was rotated, and the time in which the old one still works is over.",
		"Use the key that replaced it."},
	{apikey.Disabled, "Key disabled",
		"The key is switched off for now.",
		"Ask an operator to enable it."},
	{apikey.NotYetValid, "Key not yet valid",
		"The key's first moment lies in the future.",
		"Wait until then, or ask an operator to change not_before."},
	{apikey.Expired, "Key expired",
		"The key's time is over.",
		"Ask for a new key, or for a later expires_at."},
	{apikey.TrialEnded, "Trial ended",
		"The trial of the key's subscription is over.",
		"Renew the subscription, or extend its trial."},
	{apikey.OwnerDisabled, "Owner disabled",
		"The user who owns the key is disabled, and with it all its keys.",
		"Ask an operator to enable the user."},
	{apikey.PlanInactive, "Plan not active",
		"The subscription behind the key is paused or has ended.",
		"Resume the subscription where it is paused. One that has ended stays so: make a new one, and issue a key under it."},
	{apikey.EnvironmentMismatch, "Wrong environment",
		"A test key was used where a live one is needed, or the reverse.",
		"Use a key of the other environment."},
	{apikey.IPNotAllowed, "Address not allowed",
		"The key may not be used from this client address.",
		"Call from an allowed network, or ask an operator to change the key's networks."},
	{apikey.MethodNotAllowed, "Method not allowed for this key",
		"The key may not be used with this HTTP method.",
		"Use an allowed method, or ask an operator to change the key's methods."},
	{apikey.PathNotAllowed, "Path not allowed for this key",
		"The key may not be used for this path, which counts as the client sent it: lower and upper case differ, and so do a path with and without encoding or a doubled slash.",
		"Use an allowed path, or ask an operator to change the key's paths."},
	{apikey.InsufficientScope, "Scope missing",
		"The key lacks a scope that this request needs.",
		"Use a key that has the scope, or ask an operator to grant it."},
	{apikey.Undecided, "Not decided",
		"The key could not be judged now. It was neither accepted nor refused.",
		"Try again after the time in Retry-After."},
}
