// Package cli is the command line of the control plane: it reads the arguments,
// calls the app or the domains, and writes what came of it.
//
//	main ─► Run ─► command ─┬─ app.New ─ Run ─ Close      serve, try
//	                        ├─ app.OpenCore ─► domains    keys, users, dev seed
//	                        └─ one database, unmigrated   migrate, doctor
//
// A command joins the private PostgreSQL of a running server or starts it for
// its own duration, acts as access.CLI, and is in the journal as such.
//
// Invariants: results go to stdout and everything else to stderr, so a secret
// can be piped; a secret is written once, in the answer to its issue, and never
// taken from an argument; under --json both streams are JSON of the admin API's
// shapes. Nothing here reads the process's own environment, streams or clock:
// main hands them over.
package cli
