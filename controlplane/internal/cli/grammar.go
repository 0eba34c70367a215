package cli

import cli "github.com/alecthomas/kong"

// grammar is every command there is; kong reads it by its tags.
type grammar struct {
	JSON bool `help:"Write JSON, for programs: results to stdout, errors to stderr."`

	Serve   serveCmd   `cmd:"" group:"run" help:"Run the control plane: API, doors and documentation."`
	Try     tryCmd     `cmd:"" group:"run" help:"See it work: issue a test key, use it, revoke it, see it refused."`
	Doctor  doctorCmd  `cmd:"" group:"run" help:"Check the configuration and everything behind it."`
	Migrate migrateCmd `cmd:"" group:"run" help:"Bring the database's schema up to this build (serve does so too)."`

	Keys struct {
		Issue  issueCmd  `cmd:"" group:"data" help:"Issue a key; its secret is printed once."`
		List   listCmd   `cmd:"" group:"data" help:"List keys, the newest first."`
		Revoke revokeCmd `cmd:"" group:"data" help:"Revoke a key, at once and everywhere."`
	} `cmd:"" group:"data" help:"Issue, list and revoke keys."`
	Users struct {
		Create      createUserCmd  `cmd:"" group:"data" help:"Create a user."`
		List        listUsersCmd   `cmd:"" group:"data" help:"List users, the newest first."`
		SetPassword setPasswordCmd `cmd:"" group:"data" help:"Give a user a password, read from the terminal or stdin."`
	} `cmd:"" group:"data" help:"Create and list users."`
	Audit struct {
		Verify verifyAuditCmd `cmd:"" group:"data" help:"Prove that nobody altered the audit log."`
		Prune  pruneAuditCmd  `cmd:"" group:"data" help:"Remove the oldest events, with a sealed checkpoint in their place."`
	} `cmd:"" group:"data" help:"Verify and prune the audit log."`

	HashPassword hashPasswordCmd `cmd:"" group:"other" help:"Hash a password for ADMIN_PASSWORD_HASH."`
	OpenAPI      openAPICmd      `cmd:"" name:"openapi" group:"other" help:"Print the OpenAPI document of the API."`
	Dev          struct {
		Seed seedCmd `cmd:"" group:"other" help:"Fill a development database with users and keys."`
	} `cmd:"" group:"other" help:"Tools for developing."`
	Version versionCmd `cmd:"" group:"other" help:"Print the version."`
}

var groups = []cli.Group{
	{Key: "run", Title: "Run it:"},
	{Key: "data", Title: "Keys, users and the audit log (the API can do all of this too):"},
	{Key: "other", Title: "Other:"},
}

const description = `Latchkey issues API keys and lets only good keys through.

Start here:
  latchkey serve                  run it; without DATABASE_URL on a PostgreSQL of its own
  latchkey try                    in another terminal: see a key accepted, revoked and refused
  latchkey keys issue --name ci   issue a first key

Configuration is environment variables; "latchkey doctor" checks them. A command
exits with 0 when it is done, with 1 when it failed, and with 2, having done
nothing, when its arguments make no sense.`
