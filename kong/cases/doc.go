// Package cases is what latchkey-auth is held to inside Kong, as data: requests,
// the policy of their route, what the control plane knows of their keys, and the
// one outcome that is right. It is written once and put through every Kong there
// is:
//
//	All, Probes ──► plugin, kongtest: the access phase alone, calls counted
//	            ├─► kong/e2e:         over HTTP, through kongtest's Front
//	            └─► kong/e2e:         over HTTP, through a real Kong (make e2e-kong)
//
// It owns the cases, how an outcome is checked, and the scripted control plane
// that the plugin speaks to meanwhile. Outcomes are exact: every header that the
// upstream sees, every member and header of a refusal.
//
// Invariant: a case says nothing that only one of these Kongs can tell, but for
// Calls and Caller, which a real one does not show. It is called from tests only.
package cases
