package edgeapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

const (
	// writeTimeout bounds each write to a stream: a gateway that takes none for
	// that long has lost the feed already.
	writeTimeout = 5 * time.Second
	// keepalive is the silence after which a comment is sent.
	keepalive = 10 * time.Second
	// catchUpTimeout bounds the reading of the log for one listener.
	catchUpTimeout = 30 * time.Second
)

// changes streams the change log to a gateway, which it registers.
func (e *edgeAPI) changes(w http.ResponseWriter, r *http.Request, token apikey.Token) error {
	said, place, err := wire.ParseChangesQuery(r.URL.Query())
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "the query is not that of a change stream")
	}
	g, err := gateways.Parse(said, place, address(r))
	if err != nil {
		return err
	}
	if !e.Hub.live() { // another replica may do better
		return fault.New(fault.Unavailable, "this replica does not hear of changes now")
	}
	if err := e.register(r, g); err != nil {
		return err
	}
	l, behind := e.Hub.join(place)
	defer e.Hub.leave(l)
	s := &stream{edgeAPI: e, listener: l, out: w, control: http.NewResponseController(w), request: r, token: token}
	why := s.run(behind, place, e.jittered(g))
	e.Hub.metrics.ends.WithLabelValues(string(why)).Inc()
	web.LineOf(r.Context()).Add(slog.String("gateway", g.Name), slog.String("end", string(why)))
	return nil
}

func (e *edgeAPI) register(r *http.Request, g gateways.Gateway) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	return e.Gateways.Seen(ctx, web.CallerOf(ctx), g)
}

// jittered is the lifetime of a gateway's streams: a tenth more or less, by its
// random instance, so that those that began together do not come back together.
func (e *edgeAPI) jittered(g gateways.Gateway) time.Duration {
	return e.Lifetime * time.Duration(900+200*int(g.Instance[15])/255) / 1000
}

// stream is one change stream that is open.
type stream struct {
	*edgeAPI
	*listener
	out     http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	token   apikey.Token
	events  int64 // that were written
}

// run writes what the hub has until the stream ends.
func (s *stream) run(behind bool, place wire.Position, life time.Duration) end {
	s.begin()
	over := time.NewTimer(life)
	defer over.Stop()
	if behind {
		if why := s.catchUp(place); why != "" {
			return why
		}
	}
	silence := time.NewTimer(keepalive)
	defer silence.Stop()
	for {
		n := s.Hub.next(s.listener)
		if b := s.encode(&n); len(b) > 0 {
			if why := s.write(b); why != "" {
				return why
			}
			silence.Reset(keepalive)
		}
		switch {
		case n.over != "":
			return n.over
		case n.more:
			continue
		}
		select {
		case <-s.wake:
		case <-s.request.Context().Done():
			return endGone
		case <-over.C:
			return endLifetime
		case <-silence.C:
			if why := s.write([]byte(wire.Keepalive)); why != "" {
				return why
			}
			silence.Reset(keepalive)
		}
		if !s.admitted() {
			return endKey
		}
	}
}

// begin sends the head of the answer. The server's own deadlines are for
// requests, not for streams.
func (s *stream) begin() {
	_ = s.control.SetReadDeadline(time.Time{})
	h := s.out.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.write([]byte(wire.Keepalive)) // what fails shows in the next write
}

// write sends bytes within writeTimeout. It returns why that ended the stream,
// "" where it did not.
func (s *stream) write(b []byte) end {
	err := s.control.SetWriteDeadline(s.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.out.Write(b)
	}
	if err == nil {
		err = s.control.Flush()
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, os.ErrDeadlineExceeded):
		return endSlow
	}
	return endGone
}

// admitted reports whether the stream's key is still good. A stream goes on
// where that cannot be decided: without its database this replica has nothing to
// tell, and it tells no more than the gateway heard already.
func (s *stream) admitted() bool {
	v := s.Gate.Verdict(s.request, s.token)
	if v.Code == apikey.Undecided {
		return true
	}
	c := access.CallerOf(&v.Record)
	return v.Code == apikey.Valid && c.Holds(access.EdgeConnect)
}

// catchUp tells what the ring does not hold any more, or what this replica has
// not read yet, from the log itself, and leaves the listener where the ring goes
// on. A place outside the log, or in another history, is a reset.
func (s *stream) catchUp(place wire.Position) end {
	ctx, cancel := context.WithTimeout(s.request.Context(), catchUpTimeout)
	defer cancel()
	for {
		page, err := s.readLog(ctx)
		if err != nil {
			return endLog // the gateway tries another replica
		}
		if page.Head.Epoch != place.Epoch || s.at < page.Low || s.at > page.Head.Number {
			s.era = 0
			return ""
		}
		var n news
		for _, c := range page.Changes {
			n.changes = append(n.changes, told{c.Number, encodeChange(c)})
			s.at = c.Number
		}
		if b := s.encode(&n); len(b) > 0 {
			if why := s.write(b); why != "" {
				return why
			}
		}
		if !page.More {
			s.at = page.Head.Number
			return ""
		}
	}
}

// readLog reads the page that comes next. Few listeners read at the same time,
// for after a restart of this replica all of them are behind.
func (s *stream) readLog(ctx context.Context) (journal.Page, error) {
	select {
	case s.catchUps <- struct{}{}:
		defer func() { <-s.catchUps }()
	case <-ctx.Done():
		return journal.Page{}, ctx.Err()
	}
	s.Hub.metrics.catchUps.Inc()
	return s.Log.ChangesAfter(ctx, s.at)
}

// encode returns the bytes of news, its events numbered on: a gateway finds out
// when one was lost on the way.
func (s *stream) encode(n *news) (b []byte) {
	add := func(event []byte) {
		s.events++
		b = append(wire.AppendSequence(b, s.events), event...)
	}
	if n.reset {
		add(encodeHead(wire.EventReset, n.head))
		return b
	}
	for _, c := range n.changes {
		add(c.event)
	}
	if n.head != nil {
		add(encodeHead(wire.EventHead, n.head))
	}
	return b
}
