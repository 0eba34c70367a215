package validator

import (
	"context"
	"net/netip"
	"testing"

	"github.com/latchkey/latchkey/shared/apikey"
)

// askedClient counts what a judge asks of a client.
type askedClient struct{ ip, method, path int }

func (c *askedClient) IP() netip.Addr              { c.ip++; return netip.MustParseAddr("192.0.2.1") }
func (c *askedClient) KnownIP() (netip.Addr, bool) { return netip.MustParseAddr("192.0.2.1"), c.ip > 0 }
func (c *askedClient) Method() string              { c.method++; return "GET" }
func (c *askedClient) Path() string                { c.path++; return "/reports" }

func TestClientIsAskedOnlyWhereNeeded(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		ruled := record(1)
		ruled.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("192.0.2.0/24"))
		ruled.Key.AllowMethods, ruled.Key.AllowPaths = apikey.NewStrings("GET"), apikey.NewStrings("/reports")
		w.source.set(print(1), ruled)
		for _, step := range []struct {
			name string
			key  int
			want askedClient
		}{
			{"a look-up of a key without rules", 2, askedClient{ip: 1}},
			{"a cached key without rules", 2, askedClient{}},
			{"a look-up of a key with rules", 1, askedClient{2, 1, 1}},
			{"a cached key with rules", 1, askedClient{1, 1, 1}},
			{"a look-up of an unknown key", 77, askedClient{ip: 1}},
			{"a cached unknown key", 77, askedClient{}},
		} {
			asked := &askedClient{}
			verdict := w.Validate(context.Background(), &apikey.Request{Fingerprint: print(step.key), Client: asked})
			if known := step.key != 77; *asked != step.want || (verdict.Code == apikey.Valid) != known {
				t.Errorf("%s: %v, asked %+v, want %+v", step.name, verdict.Code, *asked, step.want)
			}
		}
	})
}
