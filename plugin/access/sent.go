package access

import (
	"bytes"
	"strings"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// sent is what the headers of one request say that matters here.
type sent struct {
	h *handler
	// places are those of the policy's key names in its order, then Bearer.
	places [mostNames + 1]place
	// own are the identity headers that the client sent under their own names.
	own [identities]bool
	// forms are the names that the upstream may not see, as they were sent:
	// other forms of identity headers, and with hide_credentials the keys'.
	forms []string
	// strips is a Connection header by which Kong would take an identity header
	// away after it was set.
	strips bool
}

// place is one header in which a key may stand.
type place struct {
	dashed string // the first value of the form with dashes alone
	other  string // of the forms with underscores
	others int    // how many of these there are
	all    int    // of every form
}

// role is what a header means to a policy.
type role uint8

const (
	ofKey role = iota + 1
	ofBearer
	ofIdentity
	ofConnection
)

// meaning is a role, by the header's dashed form.
type meaning struct {
	role role
	at   int    // the place, or the identity header
	name string // the dashed form
}

// meanings are those of all headers that matter to a policy.
func meanings(p *Policy) map[string]meaning {
	all := map[string]meaning{"connection": {role: ofConnection}}
	for i, name := range identity {
		all[dashed(name)] = meaning{ofIdentity, i, dashed(name)}
	}
	for i, name := range p.KeyNames {
		if _, again := all[dashed(name)]; !again {
			all[dashed(name)] = meaning{ofKey, i, dashed(name)}
		}
	}
	if p.KeyInBearer {
		all["authorization"] = meaning{ofBearer, mostNames, "authorization"}
	}
	return all
}

// visit takes one header in, its name in lower case.
func (s *sent) visit(name, value []byte) {
	m, exact := s.h.meaning(name)
	switch m.role {
	case ofKey:
		if s.h.policy.HideCredentials {
			s.hide(name, m.name)
		}
		s.places[m.at].add(value, exact)
	case ofBearer:
		s.places[m.at].add(bearerToken(value), true)
	case ofIdentity:
		if exact {
			s.own[m.at] = true
		} else {
			s.hide(name, m.name)
		}
	case ofConnection:
		s.strips = s.strips || s.h.namesIdentity(value)
	}
}

// hide notes a name once. Repeated ones come one after the other.
func (s *sent) hide(name []byte, usual string) {
	if n := len(s.forms); n > 0 && s.forms[n-1] == string(name) {
		return
	}
	if string(name) == usual { // no copy
		s.forms = append(s.forms, usual)
		return
	}
	s.forms = append(s.forms, string(name))
}

func (p *place) add(value []byte, exact bool) {
	if len(value) == 0 {
		return
	}
	p.all++
	switch {
	case exact && p.dashed == "":
		p.dashed = string(value)
	case !exact:
		if p.others++; p.others == 1 {
			p.other = string(value)
		}
	}
}

// value is the one that counts: of the form with dashes the first, or else that
// of another form where there is one. This is how Kong itself looks a header up.
func (p *place) value() string {
	if p.dashed == "" && p.others == 1 {
		return p.other
	}
	return p.dashed
}

// first returns the value of the first place that has one.
func (s *sent) first() credential {
	for i := range s.places {
		if text := s.places[i].value(); text != "" {
			return credential{text: text, bearer: i == mostNames}
		}
	}
	return credential{}
}

// only returns the value that there is, and many where there are several.
func (s *sent) only() credential {
	n := 0
	for i := range s.places {
		n += s.places[i].all
	}
	c := s.first()
	c.many = n > 1
	return c
}

// hidden reports values of which none can be said to be the first: several, in
// forms with underscores.
func (s *sent) hidden() bool {
	for i := range s.places {
		if s.places[i].others > 1 {
			return true
		}
	}
	return false
}

// meaning returns what a header means, and whether its name has no underscores.
func (h *handler) meaning(name []byte) (m meaning, exact bool) {
	if m, exact = h.meanings[string(name)]; exact || len(name) > longest || bytes.IndexByte(name, '_') < 0 {
		return m, exact
	}
	var room [longest]byte
	form := append(room[:0], name...)
	for i := range form {
		if form[i] == '_' {
			form[i] = '-'
		}
	}
	return h.meanings[string(form)], false
}

// namesIdentity reports whether a Connection header (RFC 9110, section 7.6.1)
// names an identity header in any form. After the access phase Kong removes what
// is named there, those included that a plugin has set. It reads the first such
// header only and knows no underscores; nobody has a use for the others.
func (h *handler) namesIdentity(value []byte) bool {
	for name := range strings.SplitSeq(string(value), ",") {
		if h.meanings[dashed(strings.TrimSpace(name))].role == ofIdentity {
			return true
		}
	}
	return false
}

// tell makes one batch of what the upstream is to be told, by the places of the
// identity headers, and of what it may not see. "" is not there.
func (s *sent) tell(p *gateway.Phase, who *[identities]string, hideAuthorization bool) error {
	var room [2 * identities]gateway.Header
	batch := room[:0]
	for i, name := range identity {
		if who[i] != "" || s.own[i] { // set, or cleared
			batch = append(batch, gateway.Header{Name: name, Value: who[i]})
		}
	}
	for _, name := range s.forms {
		batch = append(batch, gateway.Header{Name: name})
	}
	if hideAuthorization {
		batch = append(batch, gateway.Header{Name: authorization})
	}
	return p.SetUpstream(batch)
}
