// Package config reads the control plane's configuration: environment
// variables, each also as NAME_FILE, into one Config.
//
//	environ ──Load──► Config ──EnsureSecrets──► Config with SECRET_KEY and peppers
//	                    └ every fault at once, by name, with what would be right
//
// It owns the list of variables (.env.example says the same list in prose; a
// test keeps the two equal), their rules, and the secrets that are generated
// for development. The app package calls it once at start.
//
// Invariant: neither a Config nor an error of this package can print the value
// of a variable that may hold a secret, and nothing here reads the process
// environment by itself.
package config
