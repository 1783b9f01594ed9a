# What can be done here. The work itself is in scripts/; this file only names it.

.PHONY: help prepare build demo demo-stop test lint torture torture-pgbench fuzz bench install clean
.DEFAULT_GOAL := help

help: ## shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prepare: ## installs what building and testing need: Debian packages, cargo-pgrx, the verifiers
	@scripts/prepare

build: prepare ## builds the extension into a private Postgres under /tmp
	@scripts/build

demo: ## shows webhooks being delivered, on a cluster of its own; leaves it running
	@scripts/demo

demo-stop: ## ends what `make demo` left running
	@scripts/demo stop

test: build ## runs all tests, against the private Postgres
	@scripts/test

lint: prepare ## checks formatting, the list of promises, and Clippy without a warning
	@scripts/lint

torture: build ## the long runs of docs/reliability.md: simulation, kills, hostile receivers, load, fuzzing
	@scripts/torture

torture-pgbench: build ## pgbench with the dispatcher being killed; compares what arrived with what committed
	@tests/torture/pgbench.sh plain terminate kill9

fuzz: prepare ## feeds what strangers may send to the code that reads it, two minutes each (SECONDS_EACH)
	@scripts/fuzz

bench: build ## measures all workloads (ROWS="1 5": those); twenty minutes, on a machine that does nothing else
	@scripts/bench $(ROWS)

install: prepare ## installs the extension into the machine's Postgres (PG_CONFIG), as root or by sudo
	@scripts/install

clean: demo-stop ## removes what was built and staged
	@scripts/clean
