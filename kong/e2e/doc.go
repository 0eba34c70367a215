// Package e2e puts requests through Kong over HTTP, as clients do. It has tests
// alone.
//
//	kong/cases ──raw HTTP──► Kong ──plugin──► upstream: the test itself, which sees
//	      │                    └──────────────► scripted control plane     what arrived
//	      └──► kongtest: what the model says of the same request
//
// Each case is asked of a Kong and of the model, with the same keys; what arrives
// at the client and at the upstream has to be what the case says, and the same
// from both. `make e2e-kong` does it with a real Kong, where Docker is; `make
// test` with kongtest's Front in its place, which proves the harness. Only where
// Kong comes from differs.
//
// TestStack, with Docker alone, brings up docker-compose.yml.
package e2e
