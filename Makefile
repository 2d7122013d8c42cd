# What one does with Tributary, day by day. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Queries are checked against the committed .sqlx, also where .env names a database.
export SQLX_OFFLINE := true
# The services' variables: yours, where you have written any.
export TRIBUTARY_ENV_FILE ?= $(if $(wildcard .env),.env,.env.example)

TARGET := $(or $(CARGO_TARGET_DIR),target)
# The plugin of today's Docker, or else the older program of its own.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: demo
demo: ## Try it, without Docker: builds Tributary and shows it at work
	@. .ci/lib.sh; \
	  command -v cargo >/dev/null || fail "Rust is not installed: https://rustup.rs"; \
	  install_commands cc:gcc; install_postgres_binaries
	cargo build --profile demo --locked --package tributary
	$(TARGET)/demo/tributary demo

.PHONY: test
test: ## Run all tests, on PostgreSQL in a container, or a private one where no Docker engine answers
	@. .ci/lib.sh; \
	  command -v cargo >/dev/null || fail "Rust is not installed: https://rustup.rs"; \
	  install_commands cc:gcc; \
	  docker version >/dev/null 2>&1 || install_postgres_binaries
	previous=$$(.ci/previous.sh) && TRIBUTARY_PREVIOUS=$$previous cargo test --locked $(TESTS)

.PHONY: browser
browser: ## Walk the console in a real Chromium; pictures go to target/tmp/screens (installs Chromium, axe-core and oidc-provider)
	@.ci/browser.sh
	cargo test --locked --test it browser:: -- --ignored

.PHONY: contract
contract: ## Check what Formance's connector relies on, against the model of it
	cargo test --locked --test it contract::

.PHONY: golden
golden: ## Write anew what each provider file makes of its provider's records (look at the diff)
	UPDATE_GOLDEN=1 cargo test --locked --test it golden::

.PHONY: soak
soak: ## Run random histories against the feed for MINUTES=n (10)
	SOAK_MINUTES=$(or $(MINUTES),10) cargo test --locked --test it state_machine:: -- --nocapture

.PHONY: fuzz
fuzz: ## Draw what strangers, clients and providers may send, for MINUTES=n each (10; FUZZ_SEED=n)
	FUZZ_MINUTES=$(or $(MINUTES),10) cargo test --locked --package tributary-manifest --lib fuzz_tests -- --nocapture
	FUZZ_MINUTES=$(or $(MINUTES),10) cargo test --locked --test it fuzz:: -- --nocapture

.PHONY: fuzz-statements
fuzz-statements: ## Put mutated statement files and random bytes through each reader, for MINUTES=n each (2; FUZZ_SEED=n)
	FUZZ_MINUTES=$(or $(MINUTES),2) cargo test --locked --package tributary-statements --test it fuzz:: -- --nocapture --test-threads 2

.PHONY: soak-statements
soak-statements: ## Deliver CASES=n (50) banks' files to instances that are killed or stopped meanwhile (FUZZ_SEED=n)
	FUZZ_CASES=$(or $(CASES),50) cargo test --locked --package tributary-statements --test it standin::
	FUZZ_CASES=$(or $(CASES),50) cargo test --locked --test it -- statements::killed statements::ledger --nocapture

.PHONY: schemathesis
schemathesis: ## Hold a running Tributary against its OpenAPI description (needs Python; EXAMPLES=n, SEED=n)
	@.ci/schemathesis

.PHONY: bench
bench: ## Measure, and compare with benches/baseline.json (ROWS=n; BENCH_SAVE="what machine" writes it anew)
	cargo bench --locked --bench feed --bench sync --bench statements$(if $(ROWS), -- --versions $(ROWS) --records $(ROWS))
	cargo build --release --locked --package tributary
	TRIBUTARY=$(TARGET)/release/tributary benches/own/run

.PHONY: bench-history
bench-history: ## Measure a history of statement files (YEARS=n, 10; ENTRIES=n a day, 200)
	cargo bench --locked --bench history -- --years $(or $(YEARS),10) --entries $(or $(ENTRIES),200)

.PHONY: bench-peers
bench-peers: ## Measure beside Fastify, FastAPI, Go, pgbench and dlt, in turns (ROWS=n ROUNDS=n SECONDS_EACH=n)
	cargo build --release --locked --package tributary
	TRIBUTARY=$(TARGET)/release/tributary benches/peers/run $(PARTS)

.PHONY: naive
naive: ## Measure what Formance loses with naive servers, and with Tributary (a quarter of an hour; NAIVE_SEED=n)
	cargo test --locked --config profile.dev.package.tributary.opt-level=1 \
	  --test it naive::table -- --ignored --nocapture

.PHONY: mutants
mutants: ## Break Tributary on purpose, and see which tests notice (an hour; ALL=1: run all tests against each)
	@tests/mutations/run $(if $(ALL),--all)

.PHONY: check
check: ## Formatting, clippy and the unit tests: no database, soon done
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --lib --workspace --exclude private-pg

.PHONY: lint
lint: alerts ## Check the formatting, clippy's advice, that .sqlx knows every query, and the alarms
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: alerts
alerts: ## Check the alarms for Prometheus, and run their tests (promtool, taken from apt's prometheus)
	@.ci/alerts.sh

.PHONY: deny
deny: ## Check licences, bans and sources of all crates, and where the network allows it, advisories
	@.ci/deny.sh

# sqlx checks queries at compile time by asking a database. So that nobody needs one to build,
# its answers are committed in .sqlx: run this after changing a query or a migration. It asks a
# throw-away database (a container) that has just had all migrations.
.PHONY: prepare
prepare: ## Write .sqlx anew, after a change to a query or a migration (needs Docker)
	$(call ask-database,cargo sqlx prepare -- --all-targets)

.PHONY: prepare-check
prepare-check: ## Check that .sqlx agrees with the queries and migrations (needs Docker)
	$(call ask-database,cargo sqlx prepare --check -- --all-targets)

define ask-database
	@.ci/tools.sh
	PATH="$$PWD/target/tools/bin:$$PATH" SQLX_OFFLINE=false \
	  .ci/with-database.sh sh -c 'cargo sqlx migrate run && $(1)'
endef

.PHONY: migrate
migrate: ## Bring the database that DATABASE_URL names up to date
	cargo run --locked -- migrate

.PHONY: up
up: ## Build and start Tributary and PostgreSQL in containers (PROFILE=demo: and a provider's stand-in)
	@.ci/up.sh $(PROFILE)

.PHONY: logs
logs: ## Follow what the containers say
	$(COMPOSE) --profile demo logs --follow --tail 100

.PHONY: down
down: ## Stop the containers; the data stays in its volume
	$(COMPOSE) --profile demo down

.PHONY: images
images: ## Build the public images locally, where there is no registry to pull from (root)
	.ci/engine.sh
	.ci/images.sh
