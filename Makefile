# Standfast: what to type. Every target sets up what it needs; see integration/parts.sh.
.DEFAULT_GOAL := help
.PHONY: help demo test lab chaos sim soak fuzz bench lint fmt clean ready
SHELL := /bin/bash

# The store of the demo: `embedded` (one daemon) or `etcd` (three members, three daemons).
STORE ?= embedded

# Of `make sim`: how many seeds, and the first of them.
SEEDS ?= 2000
FIRST ?= 1

# Of `make chaos`: for how long, and which faults.
MINUTES ?= 3

# For each target of `make fuzz`, in seconds. SEED=n throws the same files again.
TIME ?= 60

# Puts the real parts on PATH. The first call fetches what the system lacks.
PARTS := parts=$$(integration/parts.sh) && . "$$parts" &&

help:
	@echo "make demo              a site burns, a playbook moves it: on this machine, on loopback"
	@echo "make demo STORE=etcd   the same with three etcd members and three daemons"
	@echo "make test              every test that needs only loopback, real parts included"
	@echo "make lab               sites in network namespaces, cut off from each other; no root needed"
	@echo "make chaos             the same, everything broken at random and judged (MINUTES=m SEED=s)"
	@echo "make sim               whole clusters in virtual time, everything failing (SEEDS=n FIRST=n)"
	@echo "make soak              the same for a million seeds or one hour"
	@echo "make fuzz              changed files thrown at parser and proof, 60 s each (TIME=s SEED=n)"
	@echo "make bench             the figures of docs/benchmarks.md, each with its bound"
	@echo "make lint              formatting, clippy, the purity of the core, the playbooks"
	@echo "make fmt               format the code"
	@echo "make clean             remove what was built and what was fetched"
	@echo
	@echo "Needed: make, git, a C compiler, Rust. PostgreSQL, etcd, HAProxy, BIND and protoc are"
	@echo "fetched into a cache folder where they are missing; nothing is installed."

# What must be there before anything is built.
ready:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2; exit 2; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: on Debian, the package build-essential" >&2; exit 2; }
	@integration/parts.sh >/dev/null

demo: ready
	@$(PARTS) cargo build -p standfast -p standfast-integration --bins
	@$(PARTS) exec cargo run -q -p standfast-integration --bin demo -- --store $(STORE)

# Tests start the programs `standfast` and `site`, so all binaries are built first.
test: ready
	@$(PARTS) cargo build --workspace --all-targets
	@$(PARTS) cargo test --workspace
	@integration/lab.sh --check || echo "NOT RUN, and cannot be here: make lab (sites cut off from each other), make chaos, bench --only cut" >&2

# Scenarios run one after the other: each has the whole network.
lab: ready
	@integration/lab.sh --check
	@$(PARTS) cargo build -p standfast -p standfast-integration --bins
	@$(PARTS) cargo test -p standfast-integration --test lab \
		--config 'target."cfg(unix)".runner = ["integration/lab.sh"]' -- --test-threads=1

# Rounds of about a minute; the same seed breaks the same.
chaos: ready
	@integration/lab.sh --check
	@$(PARTS) cargo build -p standfast -p standfast-integration --bins
	@$(PARTS) exec integration/lab.sh target/debug/chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# Needs no parts: the core and the simulator are pure.
sim:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2; exit 2; }
	@cargo run -q --profile sim -p standfast-sim --bin cluster -- --seeds $(SEEDS) --first $(FIRST)

soak:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2; exit 2; }
	@cargo run -q --profile sim -p standfast-sim --bin cluster -- --seeds 1000000 --first $(FIRST) --seconds 3600

# Needs no parts: only the core is read. What breaks something is kept in integration/fuzz/corpus.
fuzz:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2; exit 2; }
	@cargo build --profile fuzz -p standfast-fuzz
	@cargo run -q --profile fuzz -p standfast-fuzz -- hunt parser --seconds $(TIME) $(if $(SEED),--seed $(SEED))
	@cargo run -q --profile fuzz -p standfast-fuzz -- hunt proof --seconds $(TIME) $(if $(SEED),--seed $(SEED))

bench: ready
	@$(PARTS) cargo build --release -p standfast -p standfast-integration --bins
	@$(PARTS) exec cargo run -q --release -p standfast-integration --bin bench

lint: ready
	@cargo fmt --version >/dev/null 2>&1 || { echo "rustfmt is missing: rustup component add rustfmt" >&2; exit 2; }
	@cargo clippy --version >/dev/null 2>&1 || { echo "clippy is missing: rustup component add clippy" >&2; exit 2; }
	cargo fmt --all --check
	daemon/core/pure.sh
	@$(PARTS) set -x; cargo clippy --workspace --all-targets -- -D warnings
	@$(PARTS) set -x; for folder in shop pangyo-2022/fixed; do cargo run -q -p standfast -- lint playbooks/$$folder || exit; done
	@$(PARTS) cargo run -q -p standfast -- lint playbooks/pangyo-2022/actual >/dev/null 2>&1; code=$$?; \
		[ $$code -eq 3 ] || { echo "playbooks/pangyo-2022/actual is there to be refused (3): the exit code is $$code" >&2; exit 1; }

fmt:
	cargo fmt --all

clean:
	cargo clean
	integration/parts.sh clean
