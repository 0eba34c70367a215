package access

import (
	"bytes"
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

// find reads the headers, and the query where the policy looks into it and has
// something to find there still: everywhere where it is strict, and else where no
// header has anything. An error means that a call into Kong failed.
func (h *handler) find(p *gateway.Phase, s *sent) (c credential, err error) {
	err = p.Headers(s.visit)
	if errors.Is(err, gateway.ErrTooMany) {
		return credential{many: true}, nil
	}
	if err != nil {
		return c, err
	}
	strict := h.policy.StrictCredentials
	if strict {
		c = s.only()
	} else {
		c = s.first()
	}
	if h.policy.KeyInQuery && !c.many && (strict || c.text == "") {
		err = h.findInQuery(p, &c)
		if !strict {
			c.many = false // as with headers, the first counts
		}
	}
	c.many = c.many || c.text == "" && s.hidden()
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
		if h.meanings[dashed(unescape(name))].role != ofKey {
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
// scheme's case does not matter), nothing for anything else.
func bearerToken(value []byte) []byte {
	const scheme = "bearer "
	if len(value) <= len(scheme) || !strings.EqualFold(string(value[:len(scheme)]), scheme) {
		return nil
	}
	return bytes.Trim(value[len(scheme):], " ")
}
