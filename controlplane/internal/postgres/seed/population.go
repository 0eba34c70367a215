package seed

import (
	"hash/crc32"
	"math/rand/v2"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Prefix is that of every seeded key.
const Prefix = "lk"

// Population is how many there are of each.
type Population struct{ Users, Keys int }

const most = 100_000_000

func (p Population) check() error {
	var f fault.Fields
	f.Check(p.Users >= 1 && p.Users <= most, "body.users", "1 to %d", most)
	f.Check(p.Keys >= 1 && p.Keys <= most, "body.keys", "1 to %d", most)
	return f.Err()
}

// What a number stands for is drawn from a generator of its own, so it does not
// depend on the order in which numbers are asked for.
const (
	ofUser = iota + 1
	ofSecret
	ofKey
	ofUse
)

func draw(kind uint64, n int) *rand.Rand {
	return rand.New(rand.NewPCG(kind<<48|0x5eed, uint64(n))) //nolint:gosec // the same each time is the point
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Secret returns the plain text of key n. Everybody can compute it.
func Secret(n int) string {
	r := draw(ofSecret, n)
	text := []byte(Prefix + "_" + environment(n).String() + "_")
	for range 32 {
		text = append(text, alphabet[r.IntN(len(alphabet))])
	}
	var check [6]byte
	crc := crc32.ChecksumIEEE(text)
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = alphabet[crc%62]
		crc /= 62
	}
	return string(append(text, check[:]...))
}

// environment: every fifth key is for trying out.
func environment(n int) apikey.Environment {
	if n%5 == 4 {
		return apikey.Test
	}
	return apikey.Live
}

// Good reports whether a door lets key n in, from any address and to any path,
// at the time of seeding and for a month after it. Key 0 is good, and so are
// about three quarters of all.
func (p Population) Good(n int) bool {
	k := p.key(n)
	u := p.user(k.owner)
	return k.state == active && !k.bound && !u.disabled && u.good()
}

// user is what user number n is.
type user struct {
	service, disabled, username bool
	plan                        int    // of plans
	status                      string // of the subscription; "" is none
	past                        bool   // a trial or a period is over
}

// tier is a plan; keys under it carry some of its grants.
type tier struct {
	slug, name string
	bound      []string
	grants     []string
}

var tiers = []tier{
	{"seed-free", "Free (seeded)", []string{"reports:read", "orders:read"}, []string{"reports:read", "orders:read"}},
	{"seed-pro", "Pro (seeded)", []string{"reports:*", "orders:*", "exports:run"}, []string{"reports:read", "reports:write", "orders:read", "orders:write", "exports:run"}},
	{"seed-enterprise", "Enterprise (seeded)", []string{}, []string{"reports:read", "reports:write", "orders:write", "users:read", "billing:read", "webhooks:write"}},
}

func (p Population) user(n int) user {
	if n == 0 { // the owner of key 0
		return user{plan: 1, status: "active"}
	}
	r := draw(ofUser, n)
	u := user{service: r.IntN(5) == 0, disabled: r.IntN(50) == 0, username: r.IntN(10) == 0}
	switch d := r.IntN(100); {
	case d < 70:
		u.plan = 0
	case d < 95:
		u.plan = 1
	default:
		u.plan = 2
	}
	switch d := r.IntN(100); {
	case d < 10: // no subscription
	case d < 85:
		u.status = "active"
	case d < 91:
		u.status, u.past = "trialing", d < 87
	case d < 94:
		u.status = "paused"
	case d < 98:
		u.status, u.past = "canceled", d < 96
	default:
		u.status = "ended"
	}
	return u
}

// good reports whether the subscription, if any, lets keys in. Nobody's key is
// under a subscription that has ended.
func (u user) good() bool { return u.status != "paused" && !u.past }

// state is what key number n is by itself.
type state int

const (
	active state = iota
	revoked
	disabled
	expired
	notYetValid
)

type key struct {
	owner int
	state state
	ends  bool // expires, some day to come
	bound bool // to networks, methods or paths
	grant int  // how many scopes
	tags  int
	noted bool // has metadata
}

// use is when in a key's life it was last used, from 0, when it was made, to 1,
// now, and from which host of a network: half of the keys were used a short time
// ago. A quarter was never used.
func (p Population) use(n int) (part float64, host byte, used bool) {
	r := draw(ofUse, n)
	part = r.Float64()
	return 1 - part*part*part, byte(r.IntN(256)), r.IntN(4) > 0
}

// key draws its owner so that few users hold many keys and many hold few.
func (p Population) key(n int) key {
	if n == 0 {
		return key{grant: 2, tags: 1, noted: true}
	}
	r := draw(ofKey, n)
	f := r.Float64()
	k := key{owner: int(f * f * float64(p.Users)), ends: r.IntN(10) < 3, bound: r.IntN(10) == 0, grant: 1 + r.IntN(2), tags: r.IntN(3), noted: r.IntN(5) == 0}
	switch d := r.IntN(100); {
	case d < 4:
		k.state = revoked
	case d < 6:
		k.state = disabled
	case d < 9:
		k.state = expired
	case d < 10:
		k.state = notYetValid
	}
	return k
}
