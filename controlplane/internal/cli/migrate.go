package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/latchkey/latchkey/controlplane/internal/postgres"
)

type migrateCmd struct {
	Status bool `help:"Only tell where the schema stands."`
}

// schemaView says where a schema stands; target is this build's.
type schemaView struct {
	Current int64 `json:"current"`
	Target  int64 `json:"target"`
	Applied int64 `json:"applied"`
}

// Run migrates, or tells where the schema stands.
func (c *migrateCmd) Run(ctx context.Context, s *session) error {
	configured, err := s.config()
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, &configured, s.notice)
	if err != nil {
		return err
	}
	return closing(db, func() error {
		before, err := postgres.SchemaOf(ctx, db.dsn)
		if err != nil {
			return err
		}
		after := before
		if !c.Status {
			if after, err = postgres.Migrate(ctx, db.dsn); err != nil {
				return err
			}
		}
		v := schemaView{Current: after.Current, Target: after.Target, Applied: after.Current - before.Current}
		return s.print(v, func(w io.Writer) { v.write(w, s.program) })
	}())
}

func (v schemaView) write(w io.Writer, program string) {
	switch {
	case v.Current < v.Target:
		_, _ = fmt.Fprintf(w, "The schema is at %d, this build's is %d: `%s migrate` or serve brings it up.\n", v.Current, v.Target, program)
	case v.Applied > 0:
		_, _ = fmt.Fprintf(w, "The schema is at %d now, from %d.\n", v.Current, v.Current-v.Applied)
	default:
		_, _ = fmt.Fprintf(w, "The schema is at %d, as this build wants it.\n", v.Current)
	}
}
