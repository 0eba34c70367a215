# What people run, and what CI runs (.ci/run): the same targets.
# Tools are built once into .cache/bin, at the versions that tools/go.mod pins.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD := go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
CACHE   := .cache/bin
# The programs, by folder; each appears here once it has a main.go.
PROGRAMS := $(foreach main,$(wildcard controlplane/main.go plugin/main.go),$(patsubst %/main.go,%,$(main)))
binary = $(if $(filter plugin,$(1)),latchkey-auth,latchkey)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: viewer ## build bin/latchkey and bin/latchkey-auth
	@mkdir -p bin
	@$(foreach program,$(PROGRAMS),echo "bin/$(call binary,$(program))" && $(GOBUILD) -o bin/$(call binary,$(program)) ./$(program) &&) true

.PHONY: viewer
viewer: ## fetch the viewer of the API documents that is built into latchkey
	@controlplane/internal/docs/fetch.sh

.PHONY: run
run: build ## start Latchkey here (a private PostgreSQL unless DATABASE_URL is set)
	@if [ -z "$$DATABASE_URL$$DATABASE_URL_FILE" ]; then $(MAKE) postgres; fi
	@exec bin/latchkey serve

.PHONY: postgres
postgres: $(CACHE)/withpg ## fetch PostgreSQL's programs where this machine has none
	@$(CACHE)/withpg -find || tools/postgres.sh

# WITHPG and GOTEST are how tests run: with one server, ending in one summary.
WITHPG  := $(CACHE)/withpg
GOTEST  := $(CACHE)/gotest
PKG     ?= ./...
# For instance: make test PKG=./shared/... ARGS='-run TestParse'
ARGS    ?=

.PHONY: test
test: $(WITHPG) $(GOTEST) ## test everything that needs no Docker and no Kong, on a real PostgreSQL
	@$(WITHPG) -- $(GOTEST) -race -timeout 8m $(ARGS) $(PKG)

.PHONY: test-docker
test-docker: $(WITHPG) $(GOTEST) ## the same on a PostgreSQL in a container
	@$(WITHPG) -docker -- $(GOTEST) -race -timeout 8m $(ARGS) $(PKG)

.PHONY: test-long
test-long: $(WITHPG) $(GOTEST) ## also the tests tagged "long", then a minute of fuzzing for each fuzz test
	@$(WITHPG) -- $(GOTEST) -race -tags long -timeout 60m $(ARGS) $(PKG)
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' controlplane shared plugin kong 2>/dev/null \
	| while IFS=: read -r file _ name; do \
		go test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime 60s "./$$(dirname "$$file")" || exit 1; \
	done

BENCH ?= .
.PHONY: bench
bench: $(WITHPG) ## benchmarks, on a PostgreSQL that waits for its disk (BENCH=pattern PKG=./...)
	@$(WITHPG) -durable -- go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(ARGS) $(PKG)

.PHONY: e2e-kong
e2e-kong: ## all cases of the plugin through a real Kong, and docker-compose.yml (needs Docker on Linux; ports 8000 and 8080)
	@docker compose version >/dev/null 2>&1 || { echo "e2e-kong needs Docker Compose 2: 'docker compose version' fails" >&2; exit 1; }
	@docker info >/dev/null 2>&1 || { echo "e2e-kong needs a Docker engine: 'docker info' fails" >&2; exit 1; }
	@go test -tags e2e -count 1 -timeout 20m -v ./kong/e2e

.PHONY: check
check: $(CACHE)/golangci-lint ## format, vet, lint, generated files fresh, the tools' own tests
	@echo "format" && $(CACHE)/golangci-lint fmt --diff
	@echo "vet" && go vet ./... && go vet -tags e2e,long ./...
	@echo "lint" && $(CACHE)/golangci-lint run ./...
	@if [ -f docs/openapi.yaml ]; then $(MAKE) check-generated; fi
	@echo "tools" && cd tools && go vet ./... && go test ./...

.PHONY: check-generated
check-generated: build
	@echo "generated files" && bin/latchkey openapi | diff -u docs/openapi.yaml - \
		|| { echo "docs/openapi.yaml is out of date: run make generate"; exit 1; }

.PHONY: fmt
fmt: $(CACHE)/golangci-lint ## format the code
	@$(CACHE)/golangci-lint fmt

.PHONY: generate
generate: build ## write the generated files (docs/openapi.yaml)
	@mkdir -p docs && bin/latchkey openapi > docs/openapi.yaml.new && mv docs/openapi.yaml.new docs/openapi.yaml

.PHONY: dist
dist: viewer ## static binaries for linux and darwin, amd64 and arm64, in dist/
	@mkdir -p dist
	@$(foreach program,$(PROGRAMS),for os in linux darwin; do for arch in amd64 arm64; do \
		file=dist/$(call binary,$(program))-$$os-$$arch; echo "$$file"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GOBUILD) -o "$$file" ./$(program) || exit 1; \
	done; done &&) true

.PHONY: clean
clean: ## remove what was built and fetched, and leave the data
	@rm -rf bin dist .cache coverage.out

# go build keeps its own cache; asking it each time costs a fraction of a second.
.PHONY: $(WITHPG) $(GOTEST)
$(WITHPG):
	@go build -o $@ ./controlplane/internal/pgtest/withpg

$(GOTEST):
	@cd tools && go build -o ../$@ ./gotest

$(CACHE)/golangci-lint: tools/go.mod
	@echo "building golangci-lint, once (about two minutes)"
	@cd tools && go build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
