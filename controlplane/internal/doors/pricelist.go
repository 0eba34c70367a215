package doors

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

const (
	priceListPath = "/v1/plans"
	// priceListAge is how long a replica answers with one list: anybody may ask,
	// and must not be able to keep the database busy.
	priceListAge     = time.Second
	priceListPublic  = "public, max-age=60"
	priceListTimeout = 5 * time.Second
)

// Offers reads the plans that are in the price list.
type Offers interface {
	Offered(ctx context.Context) ([]plans.Plan, error)
}

// PriceList is the body of GET /v1/plans.
type PriceList struct {
	Data []PublicPlan `json:"data" doc:"The plans that are marked public and take new subscriptions, the newest first."`
}

// PublicPlan is what anybody may know of a plan.
type PublicPlan struct {
	Slug   string   `json:"slug" doc:"Names the plan where a key is issued." example:"pro"`
	Name   string   `json:"name" example:"Pro"`
	Scopes []string `json:"scopes" doc:"The most that a key under the plan may carry; empty: no bound." example:"[\"reports:*\"]"`

	TrialDays *int `json:"trial_days" nullable:"true" doc:"How long a new subscription is a trial; null: it is none." example:"14"`
}

// priceList is GET /v1/plans.
type priceList struct {
	offers Offers
	now    func() time.Time

	mu   sync.Mutex // held while the list is read: one at a time asks
	body []byte
	etag string
	read time.Time
}

// ServeHTTP answers with the list, or 304 where the client has it.
func (l *priceList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, etag, err := l.current(r.Context())
	if err != nil {
		web.WriteProblem(w, r, web.ProblemOf(err))
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Cache-Control", priceListPublic)
	h.Set("Etag", etag)
	// Parts of a list, and lists of a certain state alone, are nobody's wish.
	asked := r.WithContext(r.Context())
	asked.Header = http.Header{"If-None-Match": r.Header["If-None-Match"]}
	http.ServeContent(w, asked, "", time.Time{}, bytes.NewReader(body))
}

// current returns the list, read within the last second. That a client leaves
// does not end the read, for others wait for it.
func (l *priceList) current(ctx context.Context) (body []byte, etag string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.body != nil && now.Sub(l.read) < priceListAge {
		return l.body, l.etag, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), priceListTimeout)
	defer cancel()
	offered, err := l.offers.Offered(ctx)
	if err != nil {
		return nil, "", err
	}
	list := PriceList{Data: make([]PublicPlan, len(offered))}
	for i, p := range offered {
		list.Data[i] = PublicPlan{Slug: p.Slug, Name: p.Name, Scopes: p.Scopes, TrialDays: p.TrialDays}
	}
	if body, err = json.Marshal(list); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(body)
	l.body, l.etag, l.read = body, `"`+hex.EncodeToString(sum[:8])+`"`, now
	return l.body, l.etag, nil
}
