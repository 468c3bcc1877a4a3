# etlbench: see make help.

GO      ?= go
FOR     ?= 5s
OUT     ?=

TOOL    := $(GO) tool -modfile=hack/tools/go.mod

# Of make bench; SHORT=1 is a look at the smallest and a large size.
ifdef SHORT
BLOCKS  ?= 4
SIZES   ?= 4KiB,1MiB
CONNS   ?= 16
endif
flag     = $(if $($(1)),-$(2) $($(1)))
BENCH    = $(if $(filter command line environment,$(origin FOR)),-for $(FOR)) $(call flag,BLOCKS,blocks) $(call flag,SIZES,sizes) \
	$(call flag,CONNS,conns) $(call flag,COMM,comm) $(call flag,BASE,base) $(call flag,OUT,out) $(if $(MEMORY),-memory) $(if $(SHORT),-offline=false)

# The race detector needs a C compiler.
RACE    := $(shell (command -v gcc || command -v clang) >/dev/null 2>&1 && echo -race)
TEST    := $(TOOL) gotestsum --format pkgname -- -timeout 30m

# The last line of a test says if the race detector was not there.
RACED   := $(if $(RACE),true,echo "The race detector was not used: it needs gcc or clang.")

.PHONY: help build demo test test-all race lint fmt cover bench microbench conformance realclients test-browser test-kind clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/etlbench, static and stripped, as it goes into a container image
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/etlbench .

demo: build ## compare the communication types on photographs, under 2 minutes (FOR=5s OUT=folder)
	./bin/etlbench demo --for $(FOR) $(if $(OUT),--out $(OUT))

test: lint ## lint, unit and integration tests with child processes
	$(TEST) $(RACE) ./...
	@$(RACED)

test-all: lint ## make test, objects of 4 GiB, an hour of load in virtual time, a report of hours
	ETLBENCH_TEST_LARGE=1 $(TEST) $(RACE) ./...
	ETLBENCH_TEST_LARGE=1 $(TEST) -run 'TestMemoryStaysFlat|TestReportIsSmall' ./loader .
	@$(RACED)

race: ## the tests with the race detector
	$(TEST) -race ./...

lint: ## gofmt, vet, staticcheck and go mod tidy; make fmt repairs the first and the last
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not gofmt'ed, run make fmt:"; echo "$$out"; exit 1; fi
	$(GO) vet -tags browser,kind ./...
	$(TOOL) staticcheck -tags browser,kind ./...
	$(GO) mod tidy -diff

fmt: ## gofmt and go mod tidy
	gofmt -w .
	$(GO) mod tidy

cover: ## coverage of all packages, as text
	$(GO) test -coverpkg=./... -coverprofile=bin/cover.out ./... && $(GO) tool cover -func=bin/cover.out | tail -1

bench: build ## the data path beside yardsticks, and an arm beside itself, 15 minutes (FOR=1s BLOCKS=6 SIZES=4KiB,1MiB CONNS=16 COMM=hpush BASE=url MEMORY=1 OUT=folder); SHORT=1: one minute
	$(if $(SHORT),,$(GO) test -run '^$$' -bench '^BenchmarkAA$$' .)
	$(GO) build -o bin/bench ./hack/bench
	./bin/bench $(BENCH)

microbench: ## benchmarks of the hot functions with their allocations, and an A/A run
	$(GO) test -run '^$$' -bench . -benchmem ./...

conformance: ## replay recordings of a real AIStore cluster and its clients, print what was compared
	$(GO) test -C cluster/conformance -count=1 -table

realclients: build ## AIStore's own Go clients, of 2023 and of today, against a cluster
	hack/realclients/run.sh bin/etlbench

test-browser: ## open the HTML report in headless Chromium (Debian: apt-get install chromium)
	$(GO) test -tags browser -count=1 -run Browser ./reports

test-kind: ## pods and whole clusters on kind clusters of their own (docker or podman; KIND_NODE_IMAGE=image PY_IMAGE=image)
	CGO_ENABLED=0 $(GO) test -tags kind -count=1 -timeout 15m ./cluster/pod/kube
	CGO_ENABLED=0 $(GO) test -tags kind -count=1 -timeout 15m -run 'TestKind$$' .

clean: ## remove what was built
	rm -rf bin
