package validator

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTableAgainstAModel: what the table says is never newer than the truth,
// and is the truth where no slot is shared.
func TestTableAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := &table{seed: maphash.MakeSeed()}
		type numbers struct{ forget, any int64 }
		model := map[uint32]numbers{}
		ids := rapid.SampledFrom([]string{"key_1", "key_2", "usr_1", "pln_1", noneID})
		number := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			number += rapid.Int64Range(1, 3).Draw(t, "step")
			c := Change{Number: number, IDs: rapid.SliceOf(ids).Draw(t, "ids"), Forget: rapid.Bool().Draw(t, "forget")}
			tab.apply(c)
			for _, id := range c.IDs {
				n := model[slotOf(tab.seed, id)]
				n.any = number
				if c.Forget {
					n.forget = number
				}
				model[slotOf(tab.seed, id)] = n
			}
		}
		change := rapid.Int64Range(0, number+1).Draw(t, "change of the answer")
		e := entry{change: change}
		wantChanged, wantForgotten := false, false
		for _, id := range rapid.SliceOf(ids).Draw(t, "depends on") {
			slot := slotOf(tab.seed, id)
			e.slots = append(e.slots, byte(slot), byte(slot>>8), byte(slot>>16), byte(slot>>24))
			wantChanged = wantChanged || model[slot].any > change
			wantForgotten = wantForgotten || model[slot].forget > change
		}
		if changed, forgotten := tab.changed(&e); changed != wantChanged || forgotten != wantForgotten {
			t.Fatalf("got %v %v, want %v %v", changed, forgotten, wantChanged, wantForgotten)
		}
	})
}

// TestIdsThatShareASlot: the answer to one counts as overtaken by the other,
// never the reverse.
func TestIdsThatShareASlot(t *testing.T) {
	t.Parallel()
	tab := &table{seed: maphash.MakeSeed()}
	other, want := "", slotOf(tab.seed, "key_1")
	for n := 0; other == ""; n++ {
		if id := fmt.Sprint("usr_", n); slotOf(tab.seed, id) == want {
			other = id
		}
	}
	e := entry{change: 5, slots: []byte{byte(want), byte(want >> 8), byte(want >> 16), byte(want >> 24)}}
	tab.apply(Change{Number: 5, IDs: []string{other}, Forget: true})
	if changed, _ := tab.changed(&e); changed {
		t.Error("a change that the answer reflects overtook it")
	}
	tab.apply(Change{Number: 7, IDs: []string{other}, Forget: true})
	tab.apply(Change{Number: 6, IDs: []string{"key_1"}}) // out of order: the larger stays
	if _, forgotten := tab.changed(&e); !forgotten {
		t.Error("a change was missed")
	}
}

// TestChangesAppliedAtTheSameTime, out of order and twice: the largest number
// of each id is what stays.
func TestChangesAppliedAtTheSameTime(t *testing.T) {
	t.Parallel()
	v, err := New(Config{Source: &fakeSource{}, Now: time.Now, CacheMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	v.Reset(Head{Epoch: "e"})
	const changes = 4000
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range changes {
				if n%2 == worker%2 {
					v.Apply(Change{Number: int64(changes - n), IDs: []string{"key_1"}, Forget: true})
				}
				v.Apply(Change{Number: int64(n), IDs: []string{"key_2"}})
			}
		})
	}
	all.Wait()
	e := entry{change: changes - 1, slots: binary.LittleEndian.AppendUint32(nil, slotOf(v.seed, "key_1"))}
	if _, forgotten := v.era.Load().table.changed(&e); !forgotten {
		t.Error("the largest number was lost")
	}
	e = entry{change: changes - 2, slots: binary.LittleEndian.AppendUint32(nil, slotOf(v.seed, "key_2"))}
	if changed, forgotten := v.era.Load().table.changed(&e); !changed || forgotten {
		t.Errorf("changed %v, forgotten %v", changed, forgotten)
	}
}
