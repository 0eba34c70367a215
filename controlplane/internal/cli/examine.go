package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/records"
)

// maxSkew is how far the clocks of database and control plane may differ before
// somebody should look: certificates and expiries are judged by the second.
const maxSkew = time.Second

// examineServer looks at the server behind the database; false ends the checks.
func (s *session) examineServer(ctx context.Context, d *diagnosis, place *database, db *postgres.DB) bool {
	server, err := db.Server(ctx, s.env.Now)
	if err != nil && place.private == nil {
		d.add(check{Name: "postgresql", Status: statusFail, Detail: failureOf(err).Detail, Fix: "start PostgreSQL, or correct DATABASE_URL"})
		return false
	}
	if err != nil {
		d.failed("postgresql", err)
		return false
	}
	where := "at DATABASE_URL"
	if place.private != nil {
		where = "private, in " + place.private.Dir()
	}
	if place.private != nil && place.private.Joined() {
		where += ", running for another process"
	}
	c := check{Name: "postgresql", Status: statusOK, Detail: fmt.Sprintf("version %s, %s", server.Version, where)}
	if !server.Primary {
		c.Status, c.Detail, c.Fix = statusFail, c.Detail+"; it is a standby, which takes no writes", "let DATABASE_URL name the primary"
	}
	d.add(c)
	if !server.Primary {
		return false
	}
	c = check{Name: "clock", Status: statusOK, Detail: "the database's differs by " + server.Skew.Abs().Round(time.Millisecond).String()}
	if server.Skew.Abs() > maxSkew {
		c.Status, c.Fix = statusWarn, "let both machines follow a time server (NTP)"
	}
	d.add(c)
	return true
}

func examineSchema(ctx context.Context, d *diagnosis, dsn string) bool {
	schema, err := postgres.SchemaOf(ctx, dsn)
	switch {
	case err != nil:
		d.failed("schema", err)
	case schema.Current < schema.Target:
		d.add(check{
			Name: "schema", Status: statusWarn, Detail: fmt.Sprintf("at %d of %d, so nothing in the database was looked at", schema.Current, schema.Target),
			Fix: "start `latchkey serve`, or run `latchkey migrate`",
		})
	default:
		d.add(check{Name: "schema", Status: statusOK, Detail: fmt.Sprintf("at %d, as this build wants it", schema.Current)})
		return true
	}
	return false
}

// examinePeppers compares the peppers with what keys are under, as serve does at
// its start.
func examinePeppers(ctx context.Context, d *diagnosis, c *config.Config, db *postgres.DB) {
	rows, err := db.Peppers().KeysPerPepper(ctx)
	if err != nil {
		d.failed("peppers", err)
		return
	}
	var list []records.Pepper
	var spare []string
	for i, p := range c.Peppers {
		list = append(list, records.Pepper{ID: p.ID, Secret: []byte(p.Secret.Reveal())})
		if _, used := rows[p.ID]; used && i > 0 && rows[p.ID] == 0 {
			spare = append(spare, p.ID)
		}
	}
	var counts []string
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		counts = append(counts, fmt.Sprintf("%s: keys %d", id, rows[id]))
	}
	if err := records.CheckPeppers(ctx, list, db.Peppers()); err != nil {
		d.failed("peppers", err)
		return
	}
	if _, used := rows[c.Peppers[0].ID]; !used {
		counts = append(counts, c.Peppers[0].ID+": not used yet")
	}
	detail := strings.Join(counts, ", ")
	if len(spare) > 0 {
		detail += "; no key is under " + strings.Join(spare, ", ") + " any more, which may be removed"
	}
	d.add(check{Name: "peppers", Status: statusOK, Detail: detail})
}

func (s *session) examineSetup(ctx context.Context, d *diagnosis, c *config.Config, db *postgres.DB) {
	open, err := db.Bootstrap().Open(ctx)
	switch {
	case err != nil:
		d.failed("set-up", err)
	case open && c.BootstrapOpen:
		d.add(check{
			Name: "set-up", Status: statusWarn, Detail: "not done, and BOOTSTRAP_OPEN lets anybody who reaches the API do it",
			Fix: fmt.Sprintf("%s keys issue --name admin --management --scope '*'", s.program),
		})
	case open:
		d.add(check{
			Name: "set-up", Status: statusWarn, Detail: "not done: there is no owner and no management key",
			Fix: fmt.Sprintf("use the token that serve prints, or: %s keys issue --name admin --management --scope '*'", s.program),
		})
	default:
		d.add(check{Name: "set-up", Status: statusOK, Detail: "done: there is an owner or a management key"})
	}
}

func examineChain(ctx context.Context, d *diagnosis, audit *journal.Audit) {
	report, err := audit.Verify(ctx, access.System(), journal.Head{})
	switch {
	case err != nil:
		d.failed("audit chain", err)
	case report.Broken != 0:
		d.add(check{
			Name: "audit chain", Status: statusFail, Detail: fmt.Sprintf("broken at number %d: %s", report.Broken, report.Why),
			Fix: "find out who wrote to audit_events; or SECRET_KEY is not the one that it was written with",
		})
	default:
		d.add(check{Name: "audit chain", Status: statusOK, Detail: fmt.Sprintf("whole: %d entries verified", report.Rows)})
	}
}

// examineListeners looks whether serve could listen, or does.
func (s *session) examineListeners(ctx context.Context, d *diagnosis, c *config.Config) {
	door := newDoor(s.env.Now)
	defer door.close()
	running, _ := door.find(ctx, []string{httpURL(string(c.Listen))})
	for _, l := range []struct{ variable, address string }{
		{"LATCHKEY_LISTEN", string(c.Listen)}, {"LATCHKEY_OPS_LISTEN", string(c.OpsListen)},
	} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		switch {
		case err == nil:
			_ = listener.Close() // nothing came in
			d.add(check{Name: "listen", Status: statusOK, Detail: l.address + " is free"})
		case running:
			d.add(check{Name: "listen", Status: statusOK, Detail: l.address + " is served by a running latchkey"})
		default:
			d.add(check{
				Name: "listen", Status: statusFail, Detail: l.address + " cannot be listened on",
				Fix: fmt.Sprintf("set %s to a free address of this machine", l.variable),
			})
		}
	}
}
