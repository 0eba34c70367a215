package doors

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// connections is how many keep-alive connections drive a server.
const connections = 16

// BenchmarkAuthOverLoopback compares POST /v1/auth, with the whole chain of
// production and a cached key that has a plan, two scopes and an address rule,
// with a bare net/http handler that reads the same body and answers the same
// bytes. The two take turns within one run, so that a busy machine slows both;
// "ratio" is the door's requests per second over the bare handler's.
func BenchmarkAuthOverLoopback(b *testing.B) {
	log, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a write call per line, as in production
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	source, _, handler := newDoor(b, log)
	secret := source.add(apikey.KindAPI, func(r *apikey.Record) {
		r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("127.0.0.0/8"))
	})
	body := fmt.Sprintf(`{"auth_key":%q,"scopes":["reports:read"]}`, secret)
	door := httptest.NewServer(handler)
	defer door.Close()
	same := []byte(first(b, door, body))
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		w.Header()["Content-Type"] = jsonType
		_, _ = w.Write(same)
	}))
	defer bare.Close()

	const turn = 2000
	var took [2]time.Duration
	requests := 0
	for b.Loop() {
		for i, server := range []*httptest.Server{bare, door} {
			start := time.Now()
			drive(b, server.Listener.Addr().String(), body, turn)
			took[i] += time.Since(start)
		}
		requests += turn
	}
	b.ReportMetric(float64(requests)/took[0].Seconds(), "bare-req/s")
	b.ReportMetric(float64(requests)/took[1].Seconds(), "auth-req/s")
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
}

// first asks once, checks that the key is good, and returns the answer's body.
func first(b *testing.B, server *httptest.Server, body string) string {
	b.Helper()
	response, err := http.Post(server.URL+authPath, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%d %s %v", response.StatusCode, text, err)
	}
	return string(text)
}

// drive sends n requests over kept connections. It reads no more of an answer
// than it must, so that the client is a small part of what is measured.
func drive(b *testing.B, address, body string, n int) {
	request := []byte("POST " + authPath + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer connection.Close()
			answers := bufio.NewReaderSize(connection, 4096)
			for range n / connections {
				if _, err := connection.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := skipAnswer(answers); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// skipAnswer reads one answer: 200, and as many bytes as its Content-Length.
func skipAnswer(answers *bufio.Reader) error {
	length := -1
	for line := 0; ; line++ {
		text, err := answers.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line == 0 && !bytes.HasPrefix(text, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answered %q", text)
		}
		if digits, found := bytes.CutPrefix(text, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(digits))); err != nil {
				return err
			}
		}
		if len(text) == 2 {
			_, err := answers.Discard(length)
			return err
		}
	}
}

// BenchmarkAuthHandler is the chain and the door without a network.
func BenchmarkAuthHandler(b *testing.B) {
	source, _, handler := newDoor(b, io.Discard)
	body := []byte(fmt.Sprintf(`{"auth_key":%q,"scopes":["reports:read"]}`, source.add(apikey.KindAPI, nil)))
	r := httptest.NewRequest(http.MethodPost, authPath, nil)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	}
	if w.status != http.StatusOK && w.status != 0 {
		b.Fatalf("status %d", w.status)
	}
}

// sink is a ResponseWriter that keeps only the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
