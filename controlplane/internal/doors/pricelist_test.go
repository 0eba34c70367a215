package doors

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
)

// offers is a list that counts how often it is read.
type offers struct {
	list  []plans.Plan
	err   error
	reads int
}

func (o *offers) Offered(ctx context.Context) ([]plans.Plan, error) {
	o.reads++
	if _, limited := ctx.Deadline(); !limited || ctx.Err() != nil {
		return nil, fault.New(fault.Internal, "no limit, or over already")
	}
	return o.list, o.err
}

func TestPriceList(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	o := &offers{list: []plans.Plan{{Slug: "pro", Name: "Pro", Scopes: []string{"a"}, Public: true, TrialDays: new(14)}}}
	l := &priceList{offers: o, now: func() time.Time { return now }}
	get := func(match string) *httptest.ResponseRecorder {
		ctx, leave := context.WithCancel(t.Context())
		leave() // a client that is gone does not end the read for others
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, priceListPath, nil)
		r.Header.Set("If-None-Match", match)
		w := httptest.NewRecorder()
		l.ServeHTTP(w, r)
		return w
	}
	first := get("")
	etag := first.Header().Get("Etag")
	if first.Code != 200 || first.Body.String() != `{"data":[{"slug":"pro","name":"Pro","scopes":["a"],"trial_days":14}]}` || etag == "" ||
		first.Header().Get("Cache-Control") != "public, max-age=60" || first.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s", first.Code, first.Header(), first.Body)
	}
	for range 100 {
		if w := get(`"x", ` + etag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if o.reads != 1 {
		t.Errorf("read %d times within a second", o.reads)
	}
	o.list, now = nil, now.Add(priceListAge)
	if w := get(etag); w.Code != 200 || w.Body.String() != `{"data":[]}` || w.Header().Get("Etag") == etag || o.reads != 2 {
		t.Errorf("the changed list: %d %s", w.Code, w.Body)
	}
	o.err, now = fault.New(fault.Unavailable, "the database does not answer"), now.Add(priceListAge)
	w := get(etag)
	var p struct{ Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 503 || p.Code != "UNAVAILABLE" || w.Header().Get("Etag") != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("without the database: %d %v %s", w.Code, w.Header(), w.Body)
	}
}
