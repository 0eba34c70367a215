package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/cli"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// command runs latchkey beside a replica, on the same database.
func command(t *testing.T, dsn string, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), cli.Environment{
		Args: append([]string{"latchkey"}, args...), Environ: environment(dsn, "LATCHKEY_DATA_DIR="+t.TempDir()), Account: "tester", Version: "test",
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Now: time.Now,
		ReadFile: func(string) ([]byte, error) { return nil, io.EOF },
	})
	return code, stdout.String(), stderr.String()
}

func TestAuditOnTheCommandLine(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	r.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201)
	head, err := r.app.DB.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("0", 64)
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"audit", "verify"}, 0, "Whole: 2 rows verified. The head is " + head.String()},
		{[]string{"audit", "verify", "--head", head.String()}, 0, "Whole"},
		{[]string{"audit", "verify", "--head", "2:" + other}, 1, "BROKEN at number 2: the log up to here is another"},
		{[]string{"audit", "verify", "--head", "9:" + other}, 1, "BROKEN at number 3: rows are missing at the end"},
		{[]string{"audit", "verify", "--head", "9"}, 2, "64 hexadecimal digits"},
		{[]string{"audit", "prune"}, 2, "--before"},
		{[]string{"audit", "prune", "--keep", "1d", "--before", "2026-01-01T00:00:00Z"}, 2, "--before"},
		{[]string{"audit", "prune", "--keep", "0d"}, 2, "400d"},
		{[]string{"audit", "prune", "--keep", "-1h"}, 2, ""},
		{[]string{"audit", "prune", "--keep", "99999999d"}, 2, "400d"},
		{[]string{"audit", "prune", "--before", "yesterday"}, 2, "--before: want a time such as 2026-01-02T15:04:05Z"},
		{[]string{"audit", "prune", "--before", "2101-01-01T00:00:00Z"}, 1, "future"},
		{[]string{"audit", "prune", "--keep", "400d"}, 0, "Nothing is older"},
		{[]string{"audit", "prune", "--keep", "1ns"}, 0, "Removed 2 rows, up to number 2."},
		{[]string{"audit", "verify"}, 0, "up to number 2 was pruned"},
		{[]string{"audit", "verify", "--head", head.String()}, 0, "Whole: 1 rows"},
		{[]string{"doctor"}, 0, "whole: 1 entries verified"},
	} {
		if code, out, errors := command(t, dsn, test.args...); code != test.code || !strings.Contains(out+errors, test.says) {
			t.Errorf("%s: exit code %d\n%s%s", strings.Join(test.args, " "), code, out, errors)
		}
	}
	// What the command says as JSON is what the API answers.
	_, out, _ := command(t, dsn, "--json", "audit", "verify")
	var said, answered any
	if json.Unmarshal([]byte(out), &said) != nil || json.Unmarshal([]byte(r.call(admin, "GET", "/api/v1/audit-events/verify", nil, 200).raw), &answered) != nil {
		t.Fatal(out)
	}
	a, _ := json.Marshal(said)
	b, _ := json.Marshal(answered)
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
	if got := r.call(admin, "GET", "/api/v1/audit-events?action=audit.prune", nil, 200); got.numbers()[0] != 3 || !strings.Contains(got.raw, `"name":"tester"`) {
		t.Errorf("the prune in the log: %s", got.raw)
	}
	// The checkpoint is removed, so that rows seem never to have been.
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "DELETE FROM audit_checkpoint"); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := command(t, dsn, "audit", "verify"); code != 1 || !strings.Contains(out, "BROKEN at number 1: missing") {
		t.Errorf("%d %s", code, out)
	}
}
