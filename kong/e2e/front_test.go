package e2e

import (
	"maps"
	"slices"
	"testing"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// The harness itself, on a Kong that needs no Docker.
func TestCasesThroughFront(t *testing.T) {
	t.Parallel()
	through(t, func(t *testing.T, s setting) string {
		all := slices.Collect(maps.Values(kongs(t, s.environment)))
		return kongtest.Listen(t, s.config, all...).Address()
	})
}
