// Package stack checks what is not Go: docker-compose.yml, kong/kong.yml and what
// they mount, and the Dockerfiles. It has tests alone, which `make check` runs.
//
//	docker-compose.yml ──Compose's own loader──► who starts when, who reaches whom,
//	                                             which variables, what is published
//	kong/kong.yml ──Kong's reconciler──► routes ──plugin's -dump, access──► policies
//	kong/gateway.env ──plugin's config──► the process
//	kong/setup.sh ──sh──► secrets
//
// Invariant: what passes here is refused by neither Compose, Kong nor the plugin
// when it is read. That it runs is shown by `make e2e-kong`, where Docker is.
package stack
