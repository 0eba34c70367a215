package kongtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// authenticate is kong/pdk/client.lua: it needs one of the two.
func (p *phase) authenticate(arg []byte) ([]byte, error) {
	var seen bool
	err := fields(arg, func(num protowire.Number, data []byte, _ uint64) error {
		seen = true
		return fields(data, func(f protowire.Number, v []byte, _ uint64) error {
			switch {
			case num == 1 && f == 1:
				p.out.Caller.ConsumerID = string(v)
			case num == 1 && f == 3:
				p.out.Caller.Username = string(v)
			case num == 1 && f == 4:
				p.out.Caller.CustomID = string(v)
			case num == 2 && f == 1:
				p.out.Caller.CredentialID = string(v)
			}
			return nil
		})
	})
	if err == nil && !seen {
		err = raise("either credential or consumer must be provided")
	}
	return nil, err
}

func (p *phase) setUpstream(arg []byte) ([]byte, error) {
	t, err := decodeStruct(arg)
	if err == nil {
		p.req.Headers, err = setAll(p.req.Headers, t)
	}
	return nil, err
}

func (p *phase) setUpstreamOne(arg []byte) ([]byte, error) {
	name, v, err := decodeKV(arg)
	if err == nil {
		p.req.Headers, err = setAll(p.req.Headers, table{name: v})
	}
	return nil, err
}

func (p *phase) setResponse(arg []byte) ([]byte, error) {
	t, err := decodeStruct(arg)
	if err == nil {
		err = p.respond(t)
	}
	return nil, err
}

func (p *phase) setResponseOne(arg []byte) ([]byte, error) {
	name, v, err := decodeKV(arg)
	if err == nil {
		err = p.respond(table{name: v})
	}
	return nil, err
}

// respond writes ngx.header, which turns underscores into dashes
// (lua_transform_underscores_in_response_headers is on).
func (p *phase) respond(t table) (err error) {
	dashed := table{}
	for name, v := range t {
		if name = strings.ReplaceAll(name, "_", "-"); !strings.EqualFold(name, "Transfer-Encoding") {
			dashed[name] = v
		}
	}
	p.response, err = setAll(p.response, dashed)
	return err
}

// setOnce is an error of the harness: which of two would win is up to the order of a
// Lua table.
func setOnce(set map[string][]string) error {
	seen := map[string]bool{}
	for name := range set {
		name = strings.ToLower(name)
		if seen[name] {
			return raise("kongtest: the header %q is set twice", name)
		}
		seen[name] = true
	}
	return nil
}

// setAll is validate_headers and normalize_multi_header of
// kong/pdk/private/checks.lua: "" becomes " ", an empty list clears, and
// nothing is set when anything is wrong.
func setAll(h Headers, t table) (Headers, error) {
	set := map[string][]string{}
	for name, v := range t {
		items, isList := v.(list)
		if !isList {
			items = list{v}
		}
		values := []string{}
		for _, item := range items {
			switch item := item.(type) {
			case string:
				if item == "" {
					item = " "
				}
				values = append(values, item)
			case bool, float64:
				if isList {
					return h, raise("invalid header value in array %q: expected string", name)
				}
				values = append(values, fmt.Sprint(item))
			default:
				return h, raise("invalid header value for %q: got %T", name, item)
			}
		}
		set[name] = values
	}
	if err := setOnce(set); err != nil {
		return h, err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		h = h.set(name, set[name])
	}
	return h, nil
}

func (p *phase) exit(arg []byte) ([]byte, error) {
	var status int
	var body []byte
	headers := table{}
	err := fields(arg, func(num protowire.Number, data []byte, n uint64) (err error) {
		switch num {
		case 1:
			status = int(int32(n))
		case 2:
			body = slices.Clone(data)
		case 3:
			headers, err = decodeStruct(data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if status < 100 || status > 599 {
		return nil, raise("code must be a number between 100 and 599")
	}
	if err := p.respond(headers); err != nil {
		return nil, err
	}
	p.end(status, body)
	return nil, errExit
}

// end makes the answer that Kong itself gives to the client.
func (p *phase) end(status int, body []byte) {
	if p.response.Values("Content-Length") == nil {
		p.response = p.response.set("Content-Length", []string{strconv.Itoa(len(body))})
	}
	p.out.Allowed, p.out.Status, p.out.Body = false, status, body
}

// unexpected is Kong's own 500, for an error in Lua (kong/init.lua) and for a
// plugin server that failed (kong.response.error).
func (p *phase) unexpected(err error) {
	p.k.logs.add("err", err.Error())
	p.response = p.response.set("Content-Type", []string{"application/json; charset=utf-8"})
	p.end(http.StatusInternalServerError, []byte(`{"message":"An unexpected error occurred"}`))
	p.out.Err = err
}
