// Package config reads the configuration of the plugin process: the gateway's
// environment variables, from the environment and from a file of the same
// variables, for Kong gives its plugins no environment. What belongs to one
// route is in plugin/access.
//
// It owns the variables, their defaults and what each accepts. main.go calls
// Load once.
//
// Invariants: everything that is wrong is reported at once, by the variable's
// name and with what would be right; no value is ever repeated, for a secret put
// into the wrong variable is one still.
package config
