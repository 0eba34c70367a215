package edge

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/shared/wire"
)

// nanoseconds are a duration as a number, which a time.Duration is not in JSON.
type nanoseconds int64

// preamble is what holds for all records of a file.
type preamble struct {
	// Version is the program's: another may mean something else by a record.
	Version string `json:"version"`
	// Instance is the process that wrote it.
	Instance string        `json:"instance"`
	Position wire.Position `json:"position"`
	Prefixes []string      `json:"prefixes"`
	// Budget is the staleness budget that the control plane was told.
	Budget nanoseconds `json:"budget"`
	// Heard is how long before Saved the change feed was heard.
	Heard nanoseconds `json:"heard"`
	Saved int64       `json:"saved"` // Unix time in nanoseconds
	// Boot names the run of the machine, and Up is how long it had been up: a
	// clock that nobody can set. "" where the machine does not tell.
	Boot string      `json:"boot"`
	Up   nanoseconds `json:"up"`

	heardAt time.Time // in the process that wrote it
}

// age returns how long ago the file was saved, by the clock that says longest.
func (p *preamble) age(now time.Time, boot string, up time.Duration) (time.Duration, error) {
	age := now.Sub(time.Unix(0, p.Saved)) // by the wall clock: the other has no monotonic part
	if boot != "" && boot == p.Boot {
		if up < time.Duration(p.Up) {
			return 0, errSnapFuture
		}
		if age >= 0 {
			age = max(age, up-time.Duration(p.Up))
		}
	}
	if age < 0 || p.Heard < 0 {
		return 0, errSnapFuture
	}
	return age, nil
}

// uptime returns the name of this run of the machine and how long it has been up,
// asleep or not; "" where the machine is no Linux.
func uptime() (boot string, up time.Duration) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	text, err2 := os.ReadFile("/proc/uptime")
	if err != nil || err2 != nil {
		return "", 0
	}
	seconds, _, _ := strings.Cut(string(text), " ")
	f, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(f * float64(time.Second))
}
