package doors

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Judge decides about one credential whose shape is right. It is safe for
// concurrent use, reads the request until it returns, and answers Undecided
// where it cannot decide.
type Judge interface {
	Validate(ctx context.Context, r *apikey.Request) apikey.Verdict
}

// Options are what the doors need.
type Options struct {
	Judge Judge
	// Prefixes are those of every key that was issued, as of now.
	Prefixes func() apikey.Prefixes
	Registry prometheus.Registerer
	// Explainer explains decisions to whom Guard lets through, with its Caller in
	// the context.
	Explainer Explainer
	Guard     func(http.Handler) http.Handler
	Offers    Offers
	Now       func() time.Time
}

// Register adds the doors to a mux.
func Register(mux *http.ServeMux, o Options) {
	a := newAuth(o)
	mux.Handle("POST "+authPath, web.NoQuery(a))
	mux.Handle("POST "+batchPath, web.NoQuery(newBatch(a)))
	mux.Handle("POST "+explainPath, o.Guard(web.NoQuery(&explain{auth: a, explainer: o.Explainer})))
	mux.Handle("GET "+priceListPath, web.NoQuery(&priceList{offers: o.Offers, now: o.Now}))
}

const authPath = "/v1/auth"

func newAuth(o Options) *auth {
	shapeless := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_door_shapeless_total",
		Help: "Credentials refused at a door by their shape alone, without any look-up.",
	}, []string{"code"})
	o.Registry.MustRegister(shapeless)
	return &auth{
		judge: o.Judge, prefixes: o.Prefixes,
		missing:   shapeless.WithLabelValues(apikey.MissingCredential.String()),
		malformed: shapeless.WithLabelValues(apikey.Malformed.String()),
	}
}
