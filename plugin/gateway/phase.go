package gateway

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrTooMany says that a request has as many headers as Kong hands out (1,000) or
// more, Host and Connection among them, so that what was read may lack the one
// that matters.
var ErrTooMany = errors.New("more headers than Kong hands out")

// mostValues is Kong's own upper bound. Its default, 100, would let a client
// hide a header behind a hundred others.
const mostValues = 1000

// Phase is the access phase of one request. It is used by one goroutine, for
// the time of one handler call.
type Phase struct {
	conn   *Conn
	err    error
	exited bool
	sync   bool // the connection still follows the protocol
}

// NewPhase starts the answer to an event that was read from c.
func NewPhase(c *Conn) *Phase { return &Phase{conn: c, sync: true} }

// Err is the first error of any call of this phase.
func (p *Phase) Err() error { return p.err }

// Exited says that the phase was ended by Exit: nothing may follow on the
// connection, which Kong drops when the request ends.
func (p *Phase) Exited() bool { return p.exited }

// InSync says that the connection can carry another message: no call of this
// phase failed half-way, and it has not ended.
func (p *Phase) InSync() bool { return p.sync && !p.exited }

// Header is the first value of a request header, "" when there is none.
// Source: kong.request.get_header, that is nginx's $http_name, so X-API-Key
// also finds X_API_Key. Traps: a header that is sent twice, or whose value
// holds ", ", is looked up a second time by its dashed name only and within the
// first 100 headers, so an underscore form may then read as absent.
func (p *Phase) Header(name string) (string, error) {
	return p.str("kong.request.get_header", name)
}

// Headers tells visit of every request header, by its lower-case name as sent:
// x_api_key and x-api-key are two. Names come in no order; one that was sent
// several times is told once for each value, one after the other, in the order
// that they have in the request. The bytes are good during the visit only.
// ErrTooMany is an answer and no fault: the caller may refuse, and must not
// believe what was visited.
func (p *Phase) Headers(visit func(name, value []byte)) error {
	at := p.begin("kong.request.get_headers")
	p.conn.out = protowire.AppendTag(p.conn.out, wrapped, protowire.VarintType)
	p.conn.out = protowire.AppendVarint(p.conn.out, mostValues)
	b, err := p.ask(at)
	if err != nil {
		return err
	}
	total, err := eachValue(b, visit)
	switch {
	case err != nil:
		return p.fail(err, true)
	case total >= mostValues:
		return ErrTooMany
	}
	return nil
}

// RawQuery is the query as it goes to the upstream, without "?" and decoding.
// Kong's decoded form is no use to a gate: it stops at 1,000 arguments, and
// writing it back would change what it does not name.
func (p *Phase) RawQuery() (string, error) { return p.str("kong.request.get_raw_query", "") }

// ForwardedIP is the client's address after Kong's trusted_ips were applied.
func (p *Phase) ForwardedIP() (string, error) {
	return p.str("kong.client.get_forwarded_ip", "")
}

// Method is the request's method in upper case.
func (p *Phase) Method() (string, error) { return p.str("kong.request.get_method", "") }

// Path is the request's path as the client sent it: encoded, not normalised, not
// necessarily UTF-8.
func (p *Phase) Path() (string, error) {
	s, err := p.str("kong.request.get_path_with_query", "")
	path, _, _ := strings.Cut(s, "?")
	return path, err
}

// SetUpstream sets and clears headers of the request to the upstream. Kong
// matches names exactly but for case: to clear X-Name's underscore form, name
// X_Name too.
func (p *Phase) SetUpstream(headers []Header) error {
	return p.headers("kong.service.request.set_headers", headers)
}

// SetRawQuery replaces the query of the request to the upstream; "" removes it.
func (p *Phase) SetRawQuery(query string) error {
	at := p.begin("kong.service.request.set_raw_query")
	p.conn.out = appendBytes(p.conn.out, wrapped, query)
	_, err := p.ask(at)
	return err
}

// SetResponse sets and clears headers of the answer to the client.
func (p *Phase) SetResponse(headers []Header) error {
	return p.headers("kong.response.set_headers", headers)
}

// Caller is who Kong's own plugins (rate-limiting, acl, logs) take the request
// to come from. Empty fields are absent.
type Caller struct{ ConsumerID, Username, CustomID, CredentialID string }

// Authenticate tells Kong who the caller is.
func (p *Phase) Authenticate(c Caller) error {
	b := p.begin("kong.client.authenticate")
	consumer := appendOptional(nil, 1, c.ConsumerID)
	consumer = appendOptional(consumer, 3, c.Username)
	consumer = appendOptional(consumer, 4, c.CustomID)
	credential := appendOptional(nil, 1, c.CredentialID)
	credential = appendOptional(credential, 2, c.ConsumerID)
	p.conn.out = appendBytes(p.conn.out, 1, string(consumer))
	p.conn.out = appendBytes(p.conn.out, 2, string(credential))
	_, err := p.ask(b)
	return err
}

// Level is one of Kong's log levels.
type Level string

// The levels that the plugin uses. Kong's default configuration shows notice
// and above.
const (
	Err    Level = "kong.log.err"
	Warn   Level = "kong.log.warn"
	Notice Level = "kong.log.notice"
)

// Log writes one line to Kong's log. It costs a call: never on the good path.
func (p *Phase) Log(level Level, line string) error {
	b := p.begin(string(level))
	value := appendBytes(nil, valueString, line)
	p.conn.out = appendBytes(p.conn.out, listValues, string(value))
	_, err := p.ask(b)
	return err
}

// Reply is an answer that Kong gives to the client in the upstream's place.
type Reply struct {
	Status  int // 100 to 599, anything else is a 500
	Body    []byte
	Headers []Header
}

// Exit answers the client and ends the phase; the handler returns after it.
// Kong never answers this call: it abandons the coroutine that holds the
// connection. So nothing is waited for.
func (p *Phase) Exit(r Reply) error {
	if !p.InSync() {
		return p.fail(errors.New("exit after the end of the phase"), p.sync)
	}
	at := p.begin("kong.response.exit")
	c := p.conn
	if r.Status != 0 {
		c.out = protowire.AppendTag(c.out, exitStatus, protowire.VarintType)
		c.out = protowire.AppendVarint(c.out, uint64(r.Status))
	}
	if len(r.Body) > 0 {
		c.out = protowire.AppendTag(c.out, exitBody, protowire.BytesType)
		c.out = protowire.AppendBytes(c.out, r.Body)
	}
	if len(r.Headers) > 0 {
		c.out = protowire.AppendTag(c.out, exitHeaders, protowire.BytesType)
		c.out = protowire.AppendVarint(c.out, uint64(headersSize(r.Headers)))
		c.out = appendHeaders(c.out, r.Headers)
	}
	c.end(at)
	if err := c.flush(); err != nil {
		return p.fail(fmt.Errorf("exit: %w", err), errors.Is(err, ErrFrame))
	}
	p.exited = true
	return nil
}

// str makes a call whose argument, if any, and answer are Strings.
func (p *Phase) str(method, arg string) (string, error) {
	at := p.begin(method)
	p.conn.out = appendOptional(p.conn.out, wrapped, arg)
	b, err := p.ask(at)
	if err != nil {
		return "", err
	}
	s, err := decodeString(b)
	if err != nil {
		return "", p.fail(err, true)
	}
	return s, nil
}

// headers makes a call whose argument is a Struct of header lists.
func (p *Phase) headers(method string, headers []Header) error {
	at := p.begin(method)
	p.conn.out = appendHeaders(p.conn.out, headers)
	_, err := p.ask(at)
	return err
}

// begin writes the method's frame and opens that of the arguments.
func (p *Phase) begin(method string) (at int) {
	at = p.conn.begin()
	p.conn.out = append(p.conn.out, method...)
	p.conn.end(at)
	return p.conn.begin()
}

// ask sends the opened call and reads its answer. Kong closes the connection
// when the call fails on its side.
func (p *Phase) ask(at int) ([]byte, error) {
	if !p.InSync() {
		p.conn.out = p.conn.out[:0]
		return nil, p.fail(errors.New("call after the end of the phase"), p.sync)
	}
	p.conn.end(at)
	if err := p.conn.flush(); err != nil {
		return nil, p.fail(fmt.Errorf("calling Kong: %w", err), errors.Is(err, ErrFrame))
	}
	b, err := p.conn.ReadFrame()
	if err != nil {
		return nil, p.fail(fmt.Errorf("Kong's answer: %w", noEOF(err)), false)
	}
	return b, nil
}

func (p *Phase) fail(err error, sync bool) error {
	p.sync = p.sync && sync
	if p.err == nil {
		p.err = err
	}
	return err
}
