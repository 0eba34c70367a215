package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

type checks struct {
	Status string
	Checks []struct{ Name, Status, Detail, Fix string }
}

// diagnose runs the doctor, and returns its exit code with what it found.
func (h *house) diagnose() (c checks, code int) {
	h.t.Helper()
	r := h.run("doctor", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		h.t.Fatalf("doctor: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return c, r.code
}

// of returns the checks of a name, "status: detail" each.
func (c checks) of(name string) (found []string) {
	for _, check := range c.Checks {
		if check.Name == name {
			found = append(found, check.Status+": "+check.Detail)
		}
	}
	return found
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	h.must("keys", "issue", "--name", "ci")
	c, code := h.diagnose()
	if code != 0 || c.Status != "warn" {
		t.Errorf("before the set-up: exit code %d, %+v", code, c)
	}
	h.must("keys", "issue", "--name", "admin", "--management", "--scope", "*")
	c, code = h.diagnose()
	if code != 0 || c.Status != "ok" {
		t.Errorf("exit code %d, %+v", code, c)
	}
	for name, want := range map[string]string{
		"configuration": "ok: complete, for development", "listen": "ok: 127.0.0.1:0 is free", "postgresql": "ok: version ",
		"clock": "ok: the database's differs by ", "schema": "ok: at ", "peppers": "ok: p1: keys 2",
		"set-up": "ok: done", "audit chain": "ok: whole: 2 entries verified",
	} {
		if found := c.of(name); len(found) == 0 || !strings.HasPrefix(found[0], want) {
			t.Errorf("%s: %q, want %q", name, found, want)
		}
	}
	if text := h.must("doctor"); strings.Count(text, "\n") != len(c.Checks) || !strings.HasPrefix(text, "ok    configuration   complete") {
		t.Errorf("for people:\n%s", text)
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm  func(h *house)
		check string
		want  string
	}{
		"configuration": {
			func(h *house) { h.environ = append(h.environ, "AUTH_CACHE_MB=many") },
			"configuration", "fail: AUTH_CACHE_MB: want ",
		},
		"no database": {
			func(h *house) { h.environ = append(h.environ, "DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/db") },
			"postgresql", "fail: the database does not answer",
		},
		"standing schema": {
			func(h *house) { h.environ = append(h.environ, "DATABASE_URL="+pgtest.Empty(h.t)) },
			"schema", "warn: at 0 of ",
		},
		"newer schema": {
			func(h *house) { h.execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)") },
			"schema", "fail: the database has schema 9999, which is newer",
		},
		"lost pepper": {
			func(h *house) {
				h.environ = append(h.environ, "LATCHKEY_PEPPERS=p2:"+strings.Repeat("0123456789abcdef", 3))
				h.execute("INSERT INTO peppers (id, proof) VALUES ('p2', '')")
			},
			"peppers", "fail: LATCHKEY_PEPPERS ",
		},
		"lost pepper, beside one that no server has used": {
			func(h *house) {
				h.environ = append(h.environ, "LATCHKEY_PEPPERS=p2:"+strings.Repeat("0123456789abcdef", 3))
			},
			"peppers", `fail: LATCHKEY_PEPPERS lacks the id "p1"`,
		},
		"other pepper": {
			func(h *house) {
				h.environ = append(h.environ, "LATCHKEY_PEPPERS=p1:"+strings.Repeat("0123456789abcdef", 3))
			},
			"peppers", `fail: LATCHKEY_PEPPERS has another secret under the id "p1"`,
		},
		"audit row altered": {
			func(h *house) { h.execute("UPDATE audit_events SET entry = replace(entry, 'ci', 'CI')") },
			"audit chain", "fail: broken at number 1: ",
		},
		"audit row removed": {
			func(h *house) { h.execute("DELETE FROM audit_events") },
			"audit chain", "fail: broken at number 1: ",
		},
		"open to all": {
			func(h *house) { h.environ = append(h.environ, "BOOTSTRAP_OPEN=true") },
			"set-up", "warn: not done, and BOOTSTRAP_OPEN",
		},
		"address taken": {
			func(h *house) {
				port := listen(h.t)
				h.environ = append(h.environ, "LATCHKEY_OPS_LISTEN=127.0.0.1:"+strconv.Itoa(port))
			},
			"listen", "fail: 127.0.0.1:",
		},
		"plain password": {
			func(h *house) { h.environ = append(h.environ, "ADMIN_PASSWORD=correct horse") },
			"configuration", "warn: ADMIN_PASSWORD is in plain text",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := furnish(t)
			h.must("keys", "issue", "--name", "ci")
			test.harm(h)
			c, code := h.diagnose()
			all := strings.Join(c.of(test.check), "\n")
			if !strings.Contains("\n"+all, "\n"+test.want) {
				t.Errorf("%s: %q, want %q", test.check, all, test.want)
			}
			failed := strings.HasPrefix(test.want, "fail")
			if (code == 1) != failed || (c.Status == "fail") != failed {
				t.Errorf("exit code %d, status %s", code, c.Status)
			}
			if strings.Contains(all, "hunter2") || strings.Contains(all, "horse") {
				t.Error("the doctor tells a secret")
			}
		})
	}
}

// execute runs SQL in the database of the installation, behind its back.
func (h *house) execute(sql string) {
	h.t.Helper()
	var dsn string
	for _, variable := range h.environ {
		if value, ok := strings.CutPrefix(variable, "DATABASE_URL="); ok {
			dsn = value
		}
	}
	conn, err := pgx.Connect(h.t.Context(), dsn)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(h.t.Context(), sql); err != nil {
		h.t.Fatal(err)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	h.environ = append(h.environ, "DATABASE_URL="+pgtest.Empty(t))
	type schema struct{ Current, Target, Applied int64 }
	before := decode[schema](h, "migrate", "--status")
	if before.Current != 0 || before.Target < 1 || before.Applied != 0 {
		t.Errorf("an empty database: %+v", before)
	}
	if did := decode[schema](h, "migrate"); did.Current != before.Target || did.Applied != before.Target {
		t.Errorf("migrated: %+v", did)
	}
	if again := decode[schema](h, "migrate"); again.Current != before.Target || again.Applied != 0 {
		t.Errorf("a second time: %+v", again)
	}
	if text := h.must("migrate", "--status"); !strings.HasSuffix(text, ", as this build wants it.\n") {
		t.Errorf("for people: %q", text)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	v := decode[map[string]float64](h, "dev", "seed", "--users", "20", "--keys", "300")
	if v["users"] != 20 || v["keys"] != 300 {
		t.Errorf("seeded %v", v)
	}
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(h.must("keys", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range list.Data {
		seen[key.ID] = true
	}
	if len(list.Data) != 300 || len(seen) != 300 { // of more than one page
		t.Errorf("the list has %d keys, %d different", len(list.Data), len(seen))
	}
	if r := h.run("dev", "seed"); r.code != 1 || !strings.HasPrefix(r.stderr, "latchkey: this database was seeded before\n") {
		t.Errorf("a second time: exit code %d\n%s", r.code, r.stderr)
	}
	if c, code := h.diagnose(); code != 0 || len(c.of("audit chain")) != 1 || !strings.HasPrefix(c.of("audit chain")[0], "ok") {
		t.Errorf("afterwards: exit code %d, %+v", code, c)
	}
	random := strings.Repeat("0123456789abcdef", 5)
	h.environ = append(h.environ, "LATCHKEY_ENV=production", "SECRET_KEY="+random, "LATCHKEY_PEPPERS=p1:"+random)
	if r := h.run("dev", "seed"); r.code != 1 || !strings.HasPrefix(r.stderr, "latchkey: production takes no seeded keys") {
		t.Errorf("in production: exit code %d\n%s", r.code, r.stderr)
	}
}

func TestPasswordFromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("correct horse battery\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := furnish(t).run("users", "create", "--name", "Ada", "--username", "ada", "--password-file", path, "--json"); r.code != 0 || strings.Contains(r.stdout, "argon2") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
