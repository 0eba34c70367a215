// Package kongtest is Kong's side of the plugin-server protocol: it runs a real
// plugin binary as Kong 3.9.3 does and puts scripted requests through its
// access phase. Tests of the plugin go through it, not around it.
//
//	Start ── spawns the binary, reads -dump, respawns it when it dies
//	Kong ─── workers, each with its connection pool and its instances
//	Route ── one plugin configuration, started lazily in every worker
//	Access ─ one request: the event, the plugin's calls, what client and
//	         upstream would see
//	Front ── the same over HTTP, by a declarative configuration
//
// What is modelled was read in Kong 3.9.3 (kong/runloop/plugin_servers,
// kong/pdk, kong/init.lua), lua-resty-core and lua-nginx-module; the comments
// name the place. The facts that matter most to a plugin:
//
//   - The process has an empty environment but for PWD, umask 0, the prefix as
//     working directory, and its output in the log at level info.
//   - An event whose connection closes is repeated, at once and without bound,
//     after all instances of the plugin were reset (pb_rpc.lua, handle_event).
//     What the first attempt changed in the request stays changed. Only an
//     orderly close counts: a reset connection or a refused one is a 500.
//   - start_instance is not repeated: a close there is a 500.
//   - A call that raises in Lua ends the request with 500; the connection is
//     dropped at the end of the request. So does kong.response.exit, by
//     design: its coroutine never runs again.
//   - Process death is noticed by connections only. Until the respawn, at most
//     once a second, every event that must dial is a 500.
//   - After the access phase Kong takes away every header that the client named in
//     Connection, those included that a plugin has set (runloop/handler.lua).
//
// Not modelled: other phases, other plugins on the route, and the headers that
// Kong's proxy adds after the access phase. What nginx refuses before any plugin
// is asked, Access takes and Request.Nginx says. Calls outside the access phase's
// common set fail the request, loudly.
//
// kong/e2e compares all this with a real Kong: every case of kong/cases, and a
// probe plugin on go-pdk's server and on ours (testdata/echo).
//
// Everything is safe for concurrent use, and cheap enough for benchmarks.
package kongtest
