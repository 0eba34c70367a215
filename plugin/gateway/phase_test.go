package gateway_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/client"
	"github.com/Kong/go-pdk/entities"
	kpp "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// wire is a connection that answers every call with the same frames and keeps
// what was written, write by write.
type wire struct {
	in     bytes.Reader
	writes [][]byte
}

func (w *wire) Read(b []byte) (int, error) { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error) {
	w.writes = append(w.writes, bytes.Clone(b))
	return len(b), nil
}
func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func answering(frames ...string) *wire {
	var b []byte
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	w := &wire{}
	w.in.Reset(b)
	return w
}

// frames cuts what was written into messages.
func (w *wire) frames() (out []string) {
	all := bytes.Join(w.writes, nil)
	for len(all) >= 4 {
		n := binary.LittleEndian.Uint32(all)
		out = append(out, string(all[4:4+n]))
		all = all[4+n:]
	}
	return out
}

func message(m proto.Message) string {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Every call is the one go-pdk makes: the same method, the same arguments, the
// same reading of the answer; in one write.
func TestCallsAreThoseOfGoPDK(t *testing.T) {
	t.Parallel()
	str := message(&kpp.String{V: "v"})
	table := message(&structpb.Struct{Fields: map[string]*structpb.Value{
		"one": structpb.NewStringValue("1"),
		"two": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("a"), structpb.NewStringValue("b")}}),
	}})
	set := []gateway.Header{{Name: "X-A", Value: "1"}, {Name: "x_b"}, {Name: "Long", Value: strings.Repeat("é", 200)}}
	theirs := map[string][]string{"X-A": {"1"}, "x_b": {}, "Long": {strings.Repeat("é", 200)}}
	type result = any
	first := func(v any, _ error) result { return v }
	for name, tc := range map[string]struct {
		answer string
		ours   func(p *gateway.Phase) result
		pdk    func(k *pdk.PDK) result
		args   proto.Message
	}{
		"Header": {str, func(p *gateway.Phase) result { return first(p.Header("X-API-Key")) },
			func(k *pdk.PDK) result { return first(k.Request.GetHeader("X-API-Key")) }, &kpp.String{}},
		"Header, absent": {"", func(p *gateway.Phase) result { return first(p.Header("X")) },
			func(k *pdk.PDK) result { return first(k.Request.GetHeader("X")) }, &kpp.String{}},
		"Headers": {table, func(p *gateway.Phase) result { return first(headersOf(p)) },
			func(k *pdk.PDK) result { return first(k.Request.GetHeaders(1000)) }, &kpp.Int{}},
		"RawQuery": {str, func(p *gateway.Phase) result { return first(p.RawQuery()) },
			func(k *pdk.PDK) result { return first(k.Request.GetRawQuery()) }, nil},
		"ForwardedIP": {str, func(p *gateway.Phase) result { return first(p.ForwardedIP()) },
			func(k *pdk.PDK) result { return first(k.Client.GetForwardedIp()) }, nil},
		"Method": {str, func(p *gateway.Phase) result { return first(p.Method()) },
			func(k *pdk.PDK) result { return first(k.Request.GetMethod()) }, nil},
		"Path": {str, func(p *gateway.Phase) result { return first(p.Path()) },
			func(k *pdk.PDK) result { return first(k.Request.GetPathWithQuery()) }, nil},
		"SetUpstream": {"", func(p *gateway.Phase) result { return p.SetUpstream(set) },
			func(k *pdk.PDK) result { return k.ServiceRequest.SetHeaders(theirs) }, &structpb.Struct{}},
		"SetRawQuery": {"", func(p *gateway.Phase) result { return p.SetRawQuery("a=1") },
			func(k *pdk.PDK) result { return k.ServiceRequest.SetRawQuery("a=1") }, &kpp.String{}},
		"SetResponse": {"", func(p *gateway.Phase) result { return p.SetResponse(set) },
			func(k *pdk.PDK) result { return k.Response.SetHeaders(theirs) }, &structpb.Struct{}},
		"Authenticate": {"", func(p *gateway.Phase) result {
			return p.Authenticate(gateway.Caller{ConsumerID: "c", Username: "u", CustomID: "x", CredentialID: "k"})
		}, func(k *pdk.PDK) result {
			return k.Client.Authenticate(&entities.Consumer{Id: "c", Username: "u", CustomId: "x"},
				&client.AuthenticatedCredential{Id: "k", ConsumerId: "c"})
		}, &kpp.AuthenticateArgs{}},
		"Log": {"", func(p *gateway.Phase) result { return p.Log(gateway.Notice, "line") },
			func(k *pdk.PDK) result { return k.Log.Notice("line") }, &structpb.ListValue{}},
		"Exit": {"", func(p *gateway.Phase) result {
			return p.Exit(gateway.Reply{Status: 401, Body: []byte("no"), Headers: set})
		}, func(k *pdk.PDK) result {
			k.Response.Exit(401, []byte("no"), theirs)
			return error(nil)
		}, &kpp.ExitArgs{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, pdks := answering(tc.answer), answering(tc.answer)
			got := tc.ours(gateway.NewPhase(gateway.NewConn(ours)))
			want := tc.pdk(pdk.Init(pdks))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer: %s", diff)
			}
			a, b := pdks.frames(), ours.frames()
			if len(b) != 2 || a[0] != b[0] {
				t.Fatalf("called %q, go-pdk %q", b, a)
			}
			if tc.args == nil {
				tc.args = &kpp.String{} // no arguments: both must be empty
			}
			if diff := cmp.Diff(decoded(t, tc.args, a[1]), decoded(t, tc.args, b[1]), protocmp.Transform()); diff != "" {
				t.Errorf("arguments: %s", diff)
			}
			if len(ours.writes) != 1 {
				t.Errorf("%d writes, want 1", len(ours.writes))
			}
		})
	}
}

func decoded(t *testing.T, like proto.Message, b string) proto.Message {
	t.Helper()
	m := like.ProtoReflect().New().Interface()
	if err := proto.Unmarshal([]byte(b), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// A failed call spends the phase, and what follows makes no sound on the wire.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wire   *wire
		call   func(p *gateway.Phase) error
		want   error // nil: any
		inSync bool
	}{
		"closed":        {answering(), header, io.ErrUnexpectedEOF, false},
		"half a frame":  {half(), header, io.ErrUnexpectedEOF, false},
		"malformed":     {answering("\xff\xff"), header, nil, true},
		"too long":      {answering(strings.Repeat("x", gateway.MaxFrame+1)), header, gateway.ErrFrame, false},
		"we, too long":  {answering(""), long, gateway.ErrFrame, true},
		"nested lists":  {answering("\x0a\x08\x12\x06\x32\x04\x0a\x02\x32\x00"), headers, nil, true},
		"after an exit": {answering(""), afterExit, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := gateway.NewPhase(gateway.NewConn(tc.wire))
			err := tc.call(p)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if p.Err() == nil {
				t.Error("the phase does not know")
			}
			if p.InSync() != tc.inSync {
				t.Errorf("in sync: %v, want %v", p.InSync(), tc.inSync)
			}
			if !tc.inSync {
				before := len(tc.wire.writes)
				_, err := p.Method()
				if err == nil || len(tc.wire.writes) != before {
					t.Errorf("a later call: %v, wrote %q", err, tc.wire.writes[before:])
				}
			}
		})
	}
}

func half() *wire {
	w := &wire{}
	w.in.Reset([]byte("\x05\x00\x00\x00ab"))
	return w
}
func header(p *gateway.Phase) error  { _, err := p.Header("X"); return err }
func headers(p *gateway.Phase) error { return p.Headers(func(_, _ []byte) {}) }
func long(p *gateway.Phase) error {
	return p.SetUpstream([]gateway.Header{{Name: "X", Value: strings.Repeat("x", gateway.MaxFrame)}})
}
func afterExit(p *gateway.Phase) error {
	if err := p.Exit(gateway.Reply{Status: 403}); err != nil {
		return err
	}
	return p.SetUpstream(nil)
}

// BenchmarkCalls is our share of the two calls of an allowed request, without a
// peer, against go-pdk's.
func BenchmarkCalls(b *testing.B) {
	sent := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, name := range []string{"host", "accept", "user-agent", "x-api-key"} {
		sent.Fields[name] = structpb.NewStringValue("lk_live_0123456789abcdef")
	}
	reply := answering(message(sent), "")
	in := make([]byte, reply.in.Len())
	if _, err := reply.Read(in); err != nil {
		b.Fatal(err)
	}
	set := []gateway.Header{{Name: "X-Consumer-ID", Value: "u"}, {Name: "X-Credential-Identifier", Value: "k"}, {Name: "X-API-Key"}, {Name: "x_api_key"}}
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		w := &wire{}
		c := gateway.NewConn(w)
		for b.Loop() {
			w.in.Reset(in)
			w.writes = w.writes[:0]
			p := gateway.NewPhase(c)
			if headers(p) != nil || p.SetUpstream(set) != nil {
				b.Fatal(p.Err())
			}
		}
	})
	b.Run("go-pdk", func(b *testing.B) {
		b.ReportAllocs()
		w := &wire{}
		for b.Loop() {
			w.in.Reset(in)
			w.writes = w.writes[:0]
			k := pdk.Init(w)
			if _, err := k.Request.GetHeaders(1000); err != nil {
				b.Fatal(err)
			}
			err := k.ServiceRequest.SetHeaders(map[string][]string{"X-Consumer-ID": {"u"}, "X-Credential-Identifier": {"k"}, "X-API-Key": {}, "x_api_key": {}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
