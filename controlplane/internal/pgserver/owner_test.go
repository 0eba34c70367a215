package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// beOwner makes this binary the owner of a server on the data directory that it
// names, until it is killed.
const beOwner = "PGSERVER_TEST_OWNER"

func itoa(n int) string { return strconv.Itoa(n) }

func TestMain(m *testing.M) {
	if dir := os.Getenv(beOwner); dir != "" {
		own(dir)
	}
	os.Exit(m.Run())
}

func own(dir string) {
	server, err := Open(context.Background(), Config{DataDir: dir, Fast: true})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", server.PID(), server.DSN())
	select {}
}

// TestOwnerKilled kills the owner without warning, once while its server lives
// on and once along with it, and starts again.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	for name, serverToo := range map[string]bool{"server lives": false, "server killed too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			owner := exec.CommandContext(t.Context(), os.Args[0])
			owner.Env = append(os.Environ(), beOwner+"="+dir, "LATCHKEY_PG_BIN="+binaries(t)[0].Dir)
			output, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(output).ReadString('\n')
			said := strings.Fields(line)
			if len(said) != 3 || said[0] != "ready" {
				t.Fatalf("the owner said %q", line)
			}
			query(t, said[2], "CREATE TABLE kept AS SELECT 'still here'::text AS what")
			pid, err := strconv.Atoi(said[1])
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if serverToo {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			_ = owner.Wait()

			next := open(t, dir)
			if next.Joined() {
				t.Error("joined a server that nobody owns")
			}
			if got := query(t, next.DSN(), "SELECT what FROM kept"); got != "still here" {
				t.Errorf("read %q", got)
			}
			if strings.Contains(next.DSN(), said[2]) {
				t.Error("took over a stale socket")
			}
		})
	}
}
