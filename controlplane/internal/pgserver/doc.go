// Package pgserver runs a private PostgreSQL: it finds the programs, makes the
// database files, starts the server, and stops it again. `latchkey serve` uses
// it where no DATABASE_URL is given, commands of the CLI join or start it the
// same way, and the tests take their server from it.
//
// It owns one set of database files per data directory:
//
//	<data dir>/postgres          the database files, or, where root's server
//	                             account cannot reach them there,
//	/var/lib/latchkey/<name>     with <data dir>/postgres.at saying so
//	<database files>.lock        held by the owner, see below
//	<database files>.json        where the running server is
//	<database files>/server.log  what the server said
//	/tmp/latchkey-…              its Unix socket, in a path that is short enough
//
// The invariant: at most one server runs on one set of files, and whoever holds
// the lock (flock, which the kernel takes back from a killed process) is the
// only one that may start or stop it. Everybody else joins.
//
//	Open ─► lock free?  ─ yes ─► owner: stop what a crashed owner left, make
//	                             the files if there are none, start, write state
//	        └─ no ─► state and socket answer? ─ yes ─► joined
//	                 └─ no ─► the owner is starting or ending: look again
//
// The server listens on no TCP port. Its socket lies in a directory of mode
// 0700 that belongs to the server's account, so only that account and root can
// connect; this closed door is what makes the authentication method "trust"
// acceptable inside it.
package pgserver
