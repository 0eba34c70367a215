package apikey

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// fullRecord has something in every field.
func fullRecord() Record {
	return Record{
		Change: 1<<40 + 3, DependsOn: NewStrings("key_1", "usr_1"), Needs: NewStrings("retina"),
		Key: Key{
			ID: "key_1", Name: "wörker", Kind: KindManagement, Environment: Test,
			Scopes: NewStrings("a:*", "b"), Metadata: `{"a":1}`,
			AllowCIDRs: NewCIDRs(netip.MustParsePrefix("10.0.0.0/8")), DenyCIDRs: NewCIDRs(netip.MustParsePrefix("2001:db8::/32")),
			AllowMethods: NewStrings("GET"), AllowPaths: NewStrings("/a", "/b/*"),
			NotBefore: 1, ExpiresAt: -2, RetiresAt: 3, RotateBy: 7, RevokedAt: 4, Disabled: true,
		},
		User:         User{ID: "usr_1", Name: "Ada", ExternalID: "7", Disabled: true},
		Subscription: Subscription{ID: "sub_1", PlanID: "pln_1", Plan: "pro", Status: Ended, TrialEndsAt: 5, PeriodEnd: 6},
	}
}

func encode(t testing.TB, r Record) []byte {
	t.Helper()
	b, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeIsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	long := fullRecord()
	long.Key.Metadata = strings.Repeat("x", 1<<17)
	for name, want := range map[string]Record{"full": fullRecord(), "zero": {}, "long": long} {
		got := fullRecord() // what was there before is overwritten
		if err := DecodeRecord(encode(t, want), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestDecodeRefusesWhatIsTorn(t *testing.T) {
	t.Parallel()
	whole := encode(t, fullRecord())
	spoil := func(at int, to byte) []byte {
		b := append([]byte(nil), whole...)
		b[at] = to
		return b
	}
	torn := map[string][]byte{
		"another version":   spoil(0, codecVersion+1),
		"an unknown flag":   spoil(1, 4),
		"an unknown kind":   spoil(2, byte(KindSetup)),
		"an unknown place":  spoil(3, byte(Test)+1),
		"an unknown status": spoil(4, byte(subscriptionStatuses)),
		"a longer list":     spoil(lengthsAt, whole[lengthsAt]+1),
		"a length of 4 GiB": spoil(lengthsAt+4*codecTexts-1, 0xff),
		"something behind":  append(whole[:len(whole):len(whole)], 0),
		"a torn list":       spoil(textsAt, 0xff),
	}
	for n := range whole {
		torn["cut short"] = whole[:n]
		for name, b := range torn {
			r := fullRecord()
			if err := DecodeRecord(b, &r); !errors.Is(err, ErrTorn) || r != (Record{}) {
				t.Fatalf("%s (%d): got %+v, %v", name, n, r, err)
			}
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	b := encode(t, fullRecord())
	var r Record
	if n := testing.AllocsPerRun(100, func() { _ = DecodeRecord(b, &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	whole := encode(f, fullRecord())
	f.Add(whole)
	f.Add(encode(f, Record{}))
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{codecVersion})
	f.Add(make([]byte, textsAt))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Record
		if err := DecodeRecord(b, &r); err != nil {
			if !errors.Is(err, ErrTorn) || r != (Record{}) {
				t.Fatalf("got %+v, %v", r, err)
			}
			return
		}
		if got := encode(t, r); string(got) != string(b) {
			t.Fatalf("a second form of one record: %x and %x", b, got)
		}
		if err := DecodeRecord(b[:len(b)-1], &again); !errors.Is(err, ErrTorn) {
			t.Fatalf("cut short: %v", err)
		}
		// Whatever was read can be judged.
		Decide(InstantOf(time.Now()), &r, &Request{
			IP: netip.MustParseAddr("10.0.0.1"), Method: "GET", Path: "/a/b", Scopes: []string{"a:b"}, AnyScopes: []string{"c"},
		})
	})
}

func TestRecordAsJSON(t *testing.T) {
	t.Parallel()
	want := fullRecord()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Record
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("%s is read as %+v, %v", b, got, err)
	}
	for _, bad := range []string{
		`{"key":{"kind":"setup"}}`, `{"key":{"environment":"prod"}}`, `{"subscription":{"status":"odd"}}`,
		`{"key":{"expires_at":"soon"}}`, `{"key":{"expires_at":0}}`,
	} {
		if err := json.Unmarshal([]byte(bad), new(Record)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(0, 0)
	for name, c := range map[string]struct {
		t    time.Time
		want Instant
	}{
		"none": {time.Time{}, 0}, "the epoch": {epoch, 1}, "before it": {epoch.Add(-time.Microsecond), -1},
		"nanoseconds are cut": {epoch.Add(2999), 2}, "a zone": {time.Unix(7, 0).In(time.FixedZone("x", 3600)), 7_000_000},
	} {
		if got := InstantOf(c.t); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	if InstantOfPtr(nil) != 0 || InstantOfPtr(&epoch) != 1 || !Instant(0).Time().IsZero() || !Instant(7).Time().Equal(epoch.Add(7000)) {
		t.Error("conversions")
	}
}
