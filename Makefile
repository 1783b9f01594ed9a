# All targets. The work itself is done by scripts/; this file only names it.

.PHONY: help prepare build package demo demo-stop test matrix lint torture torture-pgbench fuzz bench bench-gateway bench-inbound bench-rest install clean
.DEFAULT_GOAL := help

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prepare: ## installs what building and testing need: Debian packages, cargo-pgrx, the verifiers
	@scripts/prepare

build: prepare ## builds the extension into a private Postgres under /tmp
	@scripts/build

demo: ## shows webhooks being delivered on a separate cluster, and leaves it running
	@scripts/demo

demo-stop: ## stops and removes what `make demo` left running
	@scripts/demo stop

test: build ## runs all tests on the private Postgres
	@scripts/test

matrix: prepare ## tests the extension on PostgreSQL 15 to 18 (VERSIONS="16 18": only these)
	@scripts/matrix $(VERSIONS)

lint: prepare ## checks formatting, the list of promises, and Clippy without a warning, for PostgreSQL 15 to 18
	@scripts/lint

torture: build ## the long runs of docs/reliability.md: simulation, kills, hostile receivers, load, fuzzing
	@scripts/torture

torture-pgbench: build ## runs pgbench while the dispatcher is killed; compares received with committed events
	@tests/torture/pgbench.sh plain terminate kill9

fuzz: prepare ## fuzzes the code that reads untrusted input, two minutes for each target (SECONDS_EACH)
	@scripts/fuzz

bench: build ## measures all workloads (ROWS="1 5": only these), in twenty minutes on a machine that does nothing else
	@scripts/bench $(ROWS)

bench-inbound: build ## measures how many inbound events are accepted, beside pgbench and Express
	@scripts/bench-inbound

bench-rest: build ## measures the REST API beside FastAPI with asyncpg and Express with pg
	@scripts/bench-rest

bench-gateway: build ## measures hydra-gateway beside pgbench and Express
	@scripts/bench-gateway

install: prepare ## installs the extension into the machine's Postgres (PG_CONFIG), as root or by sudo
	@scripts/install

package: prepare ## makes a tar file of the extension, for machines without Rust
	@scripts/package

clean: demo-stop ## removes all built and staged files
	@scripts/clean
