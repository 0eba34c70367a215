package app_test

import (
	"fmt"
	"net/url"
	"slices"
)

var keyOrders = []string{"created_at", "-created_at", "name", "-name", "expires_at", "-expires_at", "last_used_at", "-last_used_at"}

// follow reads a list of keys by its cursors, and returns those that keep takes.
func (w *member) follow(query url.Values, keep func(m) bool) (ids []string) {
	for cursor := ""; ; {
		query.Set("cursor", cursor)
		if cursor == "" {
			query.Del("cursor")
		}
		w.mu.Lock()
		at := w.replicas[w.random.IntN(len(w.replicas))]
		w.mu.Unlock()
		a, err := at.try("GET", "/api/v1/keys?"+query.Encode(), "", "Authorization", "Bearer "+w.admin)
		if err != nil {
			continue // it was killed: another goes on with the same cursor
		}
		if a.status != 200 {
			w.t.Errorf("%v: %d %s", query, a.status, a.raw)
			return ids
		}
		for _, k := range a.get("data").([]any) {
			if keep(k.(m)) {
				ids = append(ids, k.(m)["id"].(string))
			}
		}
		if cursor = a.text("next_cursor"); cursor == "" {
			return ids
		}
	}
}

// still is whether nobody touches a key.
func (c *crowd) still(k m) bool { return k["owner_id"] == c.users[5] }

// listed is what the keys that nobody touches are in each order, before anything
// else is there.
func (c *crowd) listed() map[string][]string {
	w := c.newMember()
	orders := map[string][]string{}
	for _, order := range keyOrders {
		orders[order] = w.follow(url.Values{"sort": {order}, "limit": {"200"}, "owner_id": {c.users[5]}}, c.still)
	}
	for _, order := range keyOrders {
		reverse := slices.Clone(orders["-"+order])
		if slices.Reverse(reverse); order[0] != '-' && (!slices.Equal(orders[order], reverse) || len(reverse) != 60) {
			c.t.Errorf("by %s and by the reverse: %v and %v", order, orders[order], reverse)
		}
	}
	return orders
}

// read follows a list while others work, and looks at what they do not touch:
// each key once, in order.
func (w *member) read(orders map[string][]string) {
	order := w.one(keyOrders...)
	query := url.Values{"sort": {order}, "limit": {fmt.Sprint(7 + w.random.IntN(60))}}
	switch w.random.IntN(8) {
	case 0:
		query.Set("owner_id", w.users[5])
	case 1:
		query.Set("tag", "still")
	case 2:
		query.Set("q", "STILL")
	case 3:
		query.Set("scope", "still")
	case 4:
		query.Set("status", "active")
	case 5:
		query.Set("environment", "live")
	case 6:
		query.Set("kind", "api")
	}
	if got := w.follow(query, w.still); !slices.Equal(got, orders[order]) {
		w.t.Errorf("%v while others work: %d keys %v, want %d %v", query, len(got), got, len(orders[order]), orders[order])
	}
}
