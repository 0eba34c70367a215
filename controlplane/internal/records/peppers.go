package records

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Pepper is a secret under which digests are made.
type Pepper struct {
	ID     string
	Secret []byte
}

// PepperUse is what the database knows of a pepper: in which order they were
// first put in front, and a proof of the secret that does not reveal it.
type PepperUse struct {
	ID    string
	Proof string
}

// PepperStore remembers which peppers were used.
type PepperStore interface {
	// Used returns all that were ever used, the first used first.
	Used(ctx context.Context) ([]PepperUse, error)
	// Use records that a pepper is the current one, if it was not known yet,
	// and returns what Used does.
	Use(ctx context.Context, p PepperUse) ([]PepperUse, error)
	// InUse reports whether any key is still under a pepper.
	InUse(ctx context.Context, pepper string) (bool, error)
}

// Peppers makes digests: HMAC-SHA-256 (RFC 2104) of a fingerprint. Keys are
// issued under the first pepper and found under all. Safe for concurrent use.
//
// A pepper is rotated in two roll-outs: append the new one everywhere, then
// move it to the front. During the second, replicas disagree on which is the
// current one; a replica therefore moves keys only off peppers that it knows to
// have been in front before its own, so two of them never move a key to and
// fro, and every replica finds keys under both.
type Peppers struct {
	list     []Pepper
	outdated map[string]bool
}

// CheckPeppers compares a list with what the database knows, and writes nothing:
// an id that keys are still under must be in the list, and every id have the same
// secret as ever. A Conflict says which is not so.
func CheckPeppers(ctx context.Context, list []Pepper, store PepperStore) error {
	used, err := store.Used(ctx)
	if err != nil {
		return err
	}
	return (&Peppers{list: list}).agree(ctx, used, store)
}

// OpenPeppers checks a list and registers its first pepper as the current one. A
// list that is refused leaves nothing behind: its ids are free for other secrets.
func OpenPeppers(ctx context.Context, list []Pepper, store PepperStore) (*Peppers, error) {
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "LATCHKEY_PEPPERS names no pepper")
	}
	if err := CheckPeppers(ctx, list, store); err != nil {
		return nil, err
	}
	used, err := store.Use(ctx, PepperUse{ID: list[0].ID, Proof: list[0].proof()})
	if err != nil {
		return nil, err
	}
	p := &Peppers{list: list, outdated: map[string]bool{}}
	current := slices.IndexFunc(used, func(u PepperUse) bool { return u.ID == list[0].ID })
	for i, u := range used {
		p.outdated[u.ID] = i < current
	}
	// Once more, for another replica may have been faster with another secret.
	if err := p.agree(ctx, used, store); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Peppers) agree(ctx context.Context, used []PepperUse, store PepperStore) error {
	for _, u := range used {
		if err := p.agrees(ctx, u, store); err != nil {
			return err
		}
	}
	return nil
}

// agrees checks one pepper that the database knows.
func (p *Peppers) agrees(ctx context.Context, u PepperUse, store PepperStore) error {
	i := slices.IndexFunc(p.list, func(have Pepper) bool { return have.ID == u.ID })
	if i >= 0 {
		if p.list[i].proof() == u.Proof {
			return nil
		}
		return fault.New(fault.Conflict, "LATCHKEY_PEPPERS has another secret under the id %q than the one that this database was used with", u.ID).
			WithFix("put the old secret back; a new secret needs a new id")
	}
	inUse, err := store.InUse(ctx, u.ID)
	if err != nil || !inUse {
		return err
	}
	return fault.New(fault.Conflict, "LATCHKEY_PEPPERS lacks the id %q, which keys in this database are still under", u.ID).
		WithFix("append it: LATCHKEY_PEPPERS=%s,%s:<its secret>", p.ids(), u.ID)
}

func (p *Peppers) ids() string {
	ids := make([]string, len(p.list))
	for i, pepper := range p.list {
		ids[i] = pepper.ID + ":…"
	}
	return strings.Join(ids, ",")
}

// IDs lists the peppers' ids, the current one first.
func (p *Peppers) IDs() []string {
	ids := make([]string, len(p.list))
	for i, pepper := range p.list {
		ids[i] = pepper.ID
	}
	return ids
}

// Digest returns the digest under the current pepper.
func (p *Peppers) Digest(f apikey.Fingerprint) keys.Digest {
	return keys.Digest{Sum: p.list[0].sum(f[:]), PepperID: p.list[0].ID}
}

// Digests returns the digests under every pepper, the current one first.
func (p *Peppers) Digests(f apikey.Fingerprint) [][]byte {
	all := make([][]byte, len(p.list))
	for i, pepper := range p.list {
		all[i] = pepper.sum(f[:])
	}
	return all
}

// Outdated reports whether keys under a pepper are to be moved to the current.
func (p *Peppers) Outdated(pepper string) bool { return p.outdated[pepper] }

func (p Pepper) sum(data []byte) []byte {
	h := hmac.New(sha256.New, p.Secret)
	h.Write(data)
	return h.Sum(nil)
}

// proof tells two secrets apart. Fingerprints are 32 bytes, so no key can have
// this digest.
func (p Pepper) proof() string { return hex.EncodeToString(p.sum([]byte("latchkey pepper"))) }
