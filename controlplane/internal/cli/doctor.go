package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
)

type doctorCmd struct{}

func (doctorCmd) Help() string {
	return `It changes nothing in the database. Without DATABASE_URL it joins the private PostgreSQL of a running server, or starts it for the time being. It exits with 1 where a check fails.`
}

// status is what came of a check.
type status string

const (
	statusOK   status = "ok"
	statusWarn status = "warn" // works, and somebody should look at it
	statusFail status = "fail"
)

// check is one thing that was looked at.
type check struct {
	Name   string `json:"name"`
	Status status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// diagnosis is everything that was looked at. Its status is the worst of all.
type diagnosis struct {
	Status status  `json:"status"`
	Checks []check `json:"checks"`
}

func (d *diagnosis) add(c check) {
	d.Checks = append(d.Checks, c)
	if c.Status == statusFail || c.Status == statusWarn && d.Status == statusOK {
		d.Status = c.Status
	}
}

// failed adds a check that an error ended.
func (d *diagnosis) failed(name string, err error) {
	f := failureOf(err)
	d.add(check{Name: name, Status: statusFail, Detail: f.Detail, Fix: f.Fix})
}

// Run makes every check.
func (doctorCmd) Run(ctx context.Context, s *session) error {
	d := &diagnosis{Status: statusOK}
	s.examine(ctx, d)
	if err := s.print(d, d.write); err != nil {
		return err
	}
	if d.Status == statusFail {
		return errReported
	}
	return nil
}

func (d *diagnosis) write(w io.Writer) {
	for _, c := range d.Checks {
		_, _ = fmt.Fprintf(w, "%-4s  %-14s  %s\n", c.Status, c.Name, c.Detail)
		if c.Fix != "" {
			_, _ = fmt.Fprintf(w, "%22sfix: %s\n", "", c.Fix)
		}
	}
}

// examine makes the checks, each of them only where it can say something.
func (s *session) examine(ctx context.Context, d *diagnosis) {
	c, ok := s.examineConfiguration(d)
	if !ok {
		return
	}
	s.examineListeners(ctx, d, &c)
	place, err := openDatabase(ctx, &c, func(string) {})
	if err != nil {
		d.failed("postgresql", err)
		return
	}
	defer func() {
		if err := closing(place, nil); err != nil {
			d.failed("postgresql", err)
		}
	}()
	db, err := postgres.Open(ctx, postgres.Options{DSN: place.dsn, Chain: app.NewChain(&c)})
	if err != nil {
		d.failed("postgresql", err)
		return
	}
	defer db.Close()
	if !s.examineServer(ctx, d, place, db) || !examineSchema(ctx, d, place.dsn) {
		return
	}
	examinePeppers(ctx, d, &c, db)
	s.examineSetup(ctx, d, &c, db)
	examineChain(ctx, d, app.NewAudit(&c, db, s.env.Now))
}

// examineConfiguration is the one check that has several failures.
func (s *session) examineConfiguration(d *diagnosis) (config.Config, bool) {
	const name = "configuration"
	c, err := s.config()
	if err == nil {
		err = c.EnsureSecrets()
	}
	if err != nil {
		f := failureOf(err)
		for _, e := range f.Errors {
			d.add(check{Name: name, Status: statusFail, Detail: e.Location + ": " + e.Message})
		}
		if len(f.Errors) == 0 {
			d.failed(name, err)
		}
		return c, false
	}
	d.add(check{Name: name, Status: statusOK, Detail: fmt.Sprintf("complete, for %s; the data directory is %s", c.Env, absolute(c.DataDir))})
	if !c.AdminPassword.Empty() {
		d.add(check{
			Name: name, Status: statusWarn, Detail: "ADMIN_PASSWORD is in plain text",
			Fix: fmt.Sprintf("set ADMIN_PASSWORD_HASH to what `%s hash-password` prints", s.program),
		})
	}
	return c, true
}
