package validator

import (
	"context"
	"hash/maphash"
	"iter"
	"time"
	"unsafe"

	"github.com/allegro/bigcache/v3"

	"github.com/latchkey/latchkey/shared/apikey"
)

// cache keeps encoded entries by fingerprint in memory that the garbage
// collector does not walk. It is FIFO: what was written longest ago goes first.
// Safe for concurrent use.
type cache struct{ entries *bigcache.BigCache }

// forever keeps bigcache from expiring anything: entries carry their own times,
// because it would serve an expired one until it is swept.
const forever = 100 * 365 * 24 * time.Hour

// newCache returns a cache of at most megabytes, plus the maps of its shards.
// It starts no goroutine (CleanWindow is 0) and takes memory as it fills.
func newCache(megabytes int) (cache, error) {
	shards := 1
	for shards < 256 && shards < megabytes {
		shards *= 2 // of a megabyte or more, so that no entry comes near a shard's size
	}
	entries, err := bigcache.New(context.Background(), bigcache.Config{
		Shards:             shards,
		LifeWindow:         forever,
		MaxEntriesInWindow: shards * 64, // only the size to start with
		MaxEntrySize:       512,
		HardMaxCacheSize:   megabytes,
		Hasher:             hasher(maphash.MakeSeed()),
	})
	return cache{entries}, err
}

// hasher is keyed, so that nobody can choose credentials that fall into one
// shard, or onto each other: bigcache's Delete compares only this hash.
func hasher(seed maphash.Seed) bigcache.Hasher { return &seededHash{seed} }

type seededHash struct{ seed maphash.Seed }

func (h *seededHash) Sum64(s string) uint64 { return maphash.String(h.seed, s) }

// cacheKey views a fingerprint as bigcache's key; bigcache copies it.
func cacheKey(f *apikey.Fingerprint) string { return unsafe.String(&f[0], len(f)) }

// get returns a copy of the entry, which nothing changes any more.
func (c cache) get(f *apikey.Fingerprint) (e entry, ok bool) {
	b, err := c.entries.Get(cacheKey(f))
	if err != nil {
		return entry{}, false
	}
	return parseEntry(b)
}

// put stores an encoded entry. One that is too large is left out: its key costs
// a look-up each time.
func (c cache) put(f *apikey.Fingerprint, encoded []byte) {
	if len(encoded) > maxEntry {
		c.remove(f)
		return
	}
	_ = c.entries.Set(cacheKey(f), encoded) // fails only above a shard's size
}

func (c cache) remove(f *apikey.Fingerprint) {
	_ = c.entries.Delete(cacheKey(f)) // fails only where there is none
}

func (c cache) clear() { _ = c.entries.Reset() }

// all goes through copies of the entries, while others change: it locks a shard
// for as long as it takes to copy its hashes, and then for each entry.
func (c cache) all() iter.Seq2[apikey.Fingerprint, []byte] {
	return func(yield func(apikey.Fingerprint, []byte) bool) {
		for i := c.entries.Iterator(); i.SetNext(); {
			info, err := i.Value()
			var print apikey.Fingerprint
			if err != nil || copy(print[:], info.Key()) != len(print) {
				continue
			}
			if !yield(print, info.Value()) {
				return
			}
		}
	}
}
