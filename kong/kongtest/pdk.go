package kongtest

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// phase is one request in its access phase: what the plugin's calls read and
// change. It survives replays, as nginx's request does.
type phase struct {
	k        *Kong
	req      Request
	response Headers // ngx.header
	out      Outcome
}

// errExit is how kong.response.exit leaves the phase: in Kong the coroutine
// that runs the plugin is abandoned with its connection.
var errExit = errors.New("exit")

// luaError is an error raised in Lua: it ends the request with 500.
type luaError struct{ msg string }

func (e luaError) Error() string { return e.msg }

func raise(format string, args ...any) error { return luaError{fmt.Sprintf(format, args...)} }

// call answers a PDK call with the bytes of its reply; nil is Kong's empty
// reply. The errors are errExit and luaError, and an error of the protocol for
// a method that Kong does not know.
func (p *phase) call(method string, arg []byte) ([]byte, error) {
	f, ok := pdk[method]
	if !ok {
		return nil, fmt.Errorf("method %q not found", method)
	}
	return f(p, arg)
}

// pdk are the calls by the names that pb_rpc.lua derives from pluginsocket.proto.
var pdk = map[string]func(p *phase, arg []byte) ([]byte, error){
	"kong.client.get_ip":               reply(func(p *phase) string { return p.req.ClientIP }),
	"kong.client.get_forwarded_ip":     reply(func(p *phase) string { return p.req.ClientIP }),
	"kong.client.authenticate":         (*phase).authenticate,
	"kong.log.alert":                   logging("alert"),
	"kong.log.crit":                    logging("crit"),
	"kong.log.err":                     logging("err"),
	"kong.log.warn":                    logging("warn"),
	"kong.log.notice":                  logging("notice"),
	"kong.log.info":                    logging("info"),
	"kong.log.debug":                   logging("debug"),
	"kong.request.get_method":          reply(func(p *phase) string { return p.req.Method }),
	"kong.request.get_path":            reply(func(p *phase) string { return p.req.normalPath() }),
	"kong.request.get_raw_query":       reply(func(p *phase) string { return p.req.Query }),
	"kong.request.get_path_with_query": reply(func(p *phase) string { return p.req.uri() }),
	"kong.request.get_query_arg":       (*phase).queryArg,
	"kong.request.get_query":           values((*Request).queryTable),
	"kong.request.get_header":          (*phase).header,
	"kong.request.get_headers":         values((*Request).headerTable),
	"kong.request.get_raw_body":        (*phase).rawBody,
	"kong.response.set_headers":        (*phase).setResponse,
	"kong.response.set_header":         (*phase).setResponseOne,
	"kong.response.exit":               (*phase).exit,
	"kong.service.request.set_headers": (*phase).setUpstream,
	"kong.service.request.set_header":  (*phase).setUpstreamOne,
	"kong.service.request.set_raw_query": func(p *phase, arg []byte) ([]byte, error) {
		query, _, err := wrapped(arg)
		p.req.Query = query
		return nil, err
	},
	"kong.service.request.clear_header": func(p *phase, arg []byte) ([]byte, error) {
		name, _, err := wrapped(arg)
		p.req.Headers = p.req.Headers.set(name, nil)
		return nil, err
	},
}

func (r *Request) uri() string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

func reply(f func(*phase) string) func(*phase, []byte) ([]byte, error) {
	return func(p *phase, _ []byte) ([]byte, error) { return appendString(nil, 1, f(p)), nil }
}

func (p *phase) header(arg []byte) ([]byte, error) {
	name, _, err := wrapped(arg)
	if err != nil {
		return nil, err
	}
	v := p.req.header(name)
	if v == "" {
		return nil, nil // absent and empty are one on the wire
	}
	return appendString(nil, 1, v), nil
}

// queryArg trips over `?b`: the value is true, and protobuf wants a string.
func (p *phase) queryArg(arg []byte) ([]byte, error) {
	name, _, err := wrapped(arg)
	if err != nil {
		return nil, err
	}
	v := p.req.queryTable(defaultMost)[name]
	if l, ok := v.(list); ok {
		v = l[0]
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return appendString(nil, 1, v), nil
	}
	return nil, raise("bad argument: string expected for field 'v', got boolean")
}

func values(f func(*Request, int) table) func(*phase, []byte) ([]byte, error) {
	return func(p *phase, arg []byte) ([]byte, error) {
		_, n, err := wrapped(arg)
		if most := int(int32(n)); err == nil && (most < 1 || most > 1000) {
			err = raise("max must be >= 1 and <= 1000")
		}
		if err != nil {
			return nil, err
		}
		return appendStruct(nil, f(&p.req, int(n))), nil
	}
}

func (p *phase) rawBody([]byte) ([]byte, error) {
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), p.req.Body), nil
}

func logging(level string) func(*phase, []byte) ([]byte, error) {
	return func(p *phase, arg []byte) ([]byte, error) {
		l, err := decodeList(arg)
		var b strings.Builder
		for _, v := range l {
			fmt.Fprint(&b, v)
		}
		p.k.logs.add(level, b.String())
		return nil, err
	}
}
