package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// errNothing rolls a transaction back that had nothing to do.
var errNothing = errors.New("postgres: nothing to write")

// taken says which value another row already has, by the name of the constraint.
var taken = map[string]struct{ location, message string }{
	"users_username_key":     {"body.username", "another user has this username"},
	"users_external_id_key":  {"body.external_id", "another user has this external id"},
	"plans_slug_key":         {"body.slug", "another plan has this slug"},
	"subscriptions_live_key": {"body.plan_id", "this user already has a live subscription to this plan"},
}

// missing says which id names nothing, by the name of the constraint.
var missing = map[string]struct{ location, message string }{
	"subscriptions_user_id_fkey": {"body.user_id", "there is no such user"},
	"subscriptions_plan_id_fkey": {"body.plan_id", "there is no such plan"},
	"keys_owner_id_fkey":         {"body.owner_id", "there is no such user"},
}

// translate makes a fault of an error from the driver; one that already is a
// fault stays as it is.
func translate(err error) error {
	var known *fault.Error
	if err == nil || errors.Is(err, errNothing) {
		return nil
	}
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, pgx.ErrNoRows) {
		return notFound()
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return ofServer(server)
	}
	if unreachable(err) {
		return unavailable(err)
	}
	return fault.Wrap(err, fault.Internal, "the database could not do this")
}

// deadlocked reports whether the server gave a transaction up for another: both
// waited for what the other had locked.
func deadlocked(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == "40P01"
}

func notFound() error {
	return fault.New(fault.NotFound, "there is no such thing, or none that this credential may see")
}

// ofServer reads what the server itself answered (PostgreSQL, appendix A). The
// detail of the answer holds values and is left out, also from the log.
func ofServer(e *pgconn.PgError) error {
	cause := errors.New("postgres: " + e.Message + " (SQLSTATE " + e.Code + ")")
	switch {
	case e.Code == "23505": // unique_violation
		if t, ok := taken[e.ConstraintName]; ok {
			f := fault.Wrap(cause, fault.Conflict, "%s", t.message).WithCode(fault.CodeTaken)
			f.Fields = []fault.Field{{Location: t.location, Message: t.message}}
			return f
		}
	case e.Code == "23503": // foreign_key_violation
		if m, ok := missing[e.ConstraintName]; ok {
			f := fault.Wrap(cause, fault.Invalid, "%s", m.message)
			f.Fields = []fault.Field{{Location: m.location, Message: m.message}}
			return f
		}
	case e.Code == "40001", e.Code == "40P01", e.Code == "55P03": // serialization, deadlock, lock timeout
		return fault.Wrap(cause, fault.Unavailable, "others are changing the same things at this moment").WithFix("try again in a moment")
	case e.Code == "57014": // statement timeout
		return unavailable(cause)
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58", "25": // connection, resources, shutdown, system, read-only server
		return unavailable(cause)
	}
	return fault.Wrap(cause, fault.Internal, "the database could not do this")
}

func unreachable(err error) bool {
	var network net.Error
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	return connect || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func unavailable(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "the database does not answer").WithFix("try again in a moment")
}

// badDSN does not wrap the parser's error, which repeats the text and with it
// the password.
func badDSN() error {
	return fault.New(fault.Invalid, "DATABASE_URL is not a PostgreSQL address").
		WithFix("write postgres://user:password@host:5432/database?sslmode=verify-full")
}
