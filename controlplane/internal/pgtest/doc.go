// Package pgtest gives every test a PostgreSQL database of its own.
//
// It owns the test server and the template: the product's migrations run once
// per server, and each test gets a clone, dropped when the test ends. A test
// without a PostgreSQL fails; it is never passed over.
//
//	func TestMain(m *testing.M) { pgtest.Run(m) }
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		dsn := pgtest.DSN(t)
//
// The server is the one that TEST_DATABASE_URL names; `make test` starts one for
// all packages (withpg) and sets the variable. A bare `go test` has a server of
// its own for each package, from the binaries on the machine.
//
// Tests are its only callers, and withpg.
package pgtest
