# Everything a person types. A fresh machine needs Python 3.11+ for `make demo`, and for the whole of `make test` also
# a Cassandra: one you have (COODIE_TEST_HOSTS), Docker, or Java 17 with Maven.

# The first Python that is new enough and can make an environment; `make PYTHON=... test` names another.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)

BIN := .venv/bin
# Stamps: an installation is made again only when the environment or pyproject.toml changed; so a re-run needs no network.
BASE := .venv/.installed-base
DEV := .venv/.installed-dev

# The tests that need no server.
QUICK := $(wildcard tests/tidy tests/unit tests/property)

.PHONY: help demo test check bench docs clean

help:
	@echo 'make demo    see hits counted: makes .venv, installs, runs the demo on the embedded store for 20 seconds'
	@echo 'make test    run every test: makes .venv, installs, gets a Cassandra  (ARGS="-k name" for pytest)'
	@echo 'make check   format, lint, types, import rules, unit and property tests: no network, no server'
	@echo 'make bench   run the benchmarks  (ARGS="name ..." for some)'
	@echo 'make docs    build the documentation into build/site: open build/site/index.html'
	@echo 'make clean   remove .venv and whatever the tools left'

demo: $(BASE)
	$(BIN)/aggregator demo --seconds 20 $(ARGS)

test: $(DEV)
	@$(BIN)/python -m tests.support.cassandra --fetch
	$(BIN)/python -m pytest $(ARGS)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python -m pytest -m 'not cassandra' $(QUICK) $(ARGS)

bench: $(DEV)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/pyvenv.cfg:
	@test -n '$(PYTHON)' || { echo 'no Python 3.11 or newer with venv found; name one: make PYTHON=/path/to/python3 ...' >&2; exit 2; }
	$(PYTHON) -m venv .venv

$(BASE): .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV): .venv/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(BASE) $@
