package wire_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/wire"
)

func TestUsageComesBackAsItWas(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC)
	written, err := json.Marshal(wire.NewUsage([]meter.Use{
		{KeyID: "key_1", At: at.In(time.FixedZone("", 3600)), IP: netip.MustParseAddr("2001:db8::1")}, {KeyID: "key_2", At: at},
	}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"uses":[` +
		`{"key_id":"key_1","last_used_at":"2026-03-01T12:00:00.000005Z","last_used_ip":"2001:db8::1"},` +
		`{"key_id":"key_2","last_used_at":"2026-03-01T12:00:00.000005Z"}]}`
	if diff := cmp.Diff(want, string(written)); diff != "" {
		t.Error(diff)
	}
	var read wire.Usage
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatal(err)
	}
	if u := read.Uses; len(u) != 2 || !u[0].LastUsedAt.Equal(at) || u[0].LastUsedIP.String() != "2001:db8::1" || u[1].LastUsedIP.IsValid() {
		t.Errorf("%+v", read)
	}
	if meter.MaxBatch > wire.MaxUses {
		t.Error("a meter hands on more at once than may be told")
	}
}
