// Package gateway is what Kong lets a plugin ask and tell during one request:
// exactly the calls of Kong's plugin development kit (PDK) that Latchkey uses,
// spoken directly over the plugin-server protocol "ProtoBuf:1".
//
// The package owns the bytes on one connection; plugin/server owns the
// connections and hands a Phase to the plugin's access handler:
//
//	Kong worker ──event──► server ──Phase──► handler
//	            ◄─method, arguments─┤ one write per call
//	            ──reply────────────►│
//	            ◄─empty frame, return, or kong.response.exit
//
// A frame is a 4-byte little-endian length and a protocol buffer of
// github.com/Kong/go-pdk/server/kong_plugin_protocol. Method names and argument
// encodings are those of go-pdk v0.11.2, which the tests compare call by call.
// It differs from go-pdk on purpose in three ways: a call is one write instead
// of four; bytes that are not UTF-8 (a client may send them in a header, a
// query or a path) are values rather than errors; and where Kong cuts a list
// short, the caller is told.
//
// Invariant: after any failed call the Phase is spent, and the server never
// lets its request through.
package gateway
