package access

import (
	"errors"
	"strings"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// credential is what a request showed.
type credential struct {
	text   string // "" where there was none
	bearer bool   // it stood in Authorization
	query  bool   // it stood in the query
	rest   string // of the query, without the credential
	many   bool   // there was more than one, or it cannot be told
}

// find looks for the credential. It reads the places in the policy's order and
// stops at the first that has something; all of them where the policy is strict,
// or would let a request pass for having none. An error means that a call into
// Kong failed.
func (h *handler) find(p *gateway.Phase) (credential, error) {
	if h.policy.StrictCredentials {
		return h.findAll(p)
	}
	c, err := h.findFirst(p)
	if err == nil && c.text == "" && h.policy.Anonymous {
		return h.findAll(p)
	}
	return c, err
}

func (h *handler) findFirst(p *gateway.Phase) (c credential, err error) {
	for _, name := range h.policy.KeyNames {
		if c.text, err = p.Header(name); err != nil || c.text != "" {
			return c, err
		}
	}
	if h.policy.KeyInBearer {
		value, err := p.Header(authorization)
		if c.text = bearerToken(value); err != nil || c.text != "" {
			c.bearer = true
			return c, err
		}
	}
	if h.policy.KeyInQuery {
		err = h.findInQuery(p, &c)
		c.many = false // as with headers, the first counts
	}
	return c, err
}

// findAll reads every header in every form, and the query.
func (h *handler) findAll(p *gateway.Phase) (c credential, err error) {
	headers, err := p.Headers()
	if errors.Is(err, gateway.ErrTooMany) {
		return credential{many: true}, nil
	}
	if err != nil {
		return c, err
	}
	for name, values := range headers {
		name = dashed(name)
		for _, v := range values {
			switch {
			case h.keyNames[name]:
				c.add(v)
			case h.policy.KeyInBearer && name == "authorization" && bearerToken(v) != "":
				c.add(bearerToken(v))
				c.bearer = true
			}
		}
	}
	if h.policy.KeyInQuery {
		err = h.findInQuery(p, &c)
	}
	return c, err
}

func (c *credential) add(text string) {
	if text == "" {
		return
	}
	c.many = c.many || c.text != ""
	if c.text == "" {
		c.text = text
	}
}

// findInQuery takes every argument with one of the names out of the query.
func (h *handler) findInQuery(p *gateway.Phase, c *credential) error {
	raw, err := p.RawQuery()
	if err != nil {
		return err
	}
	var rest []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if !h.keyNames[dashed(unescape(name))] {
			rest = append(rest, part)
			continue
		}
		if value = unescape(value); value != "" {
			c.add(value)
			c.query = true
		}
	}
	c.rest = strings.Join(rest, "&")
	return nil
}

// unescape decodes as nginx does: what is no escape stays as it is.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) < 16 && unhex(s[i+2]) < 16:
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// unhex returns the value of a hexadecimal digit; 16 is none.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

const authorization = "Authorization"

// bearerToken returns the token of "Bearer <token>" (RFC 6750, section 2.1; the
// scheme's case does not matter), "" for anything else.
func bearerToken(value string) string {
	const scheme = "bearer "
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return ""
	}
	return strings.Trim(value[len(scheme):], " ")
}
