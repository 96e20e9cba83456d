# Everything a person needs to run, test and change Timbrescope. `make help` lists the targets.
# Each target sets up what it needs first; once that is done, none of them needs the network (except a missing set-up).
.DEFAULT_GOAL := help
.PHONY: help install run browser test test-reliability check lint bench openapi fmt clean

BIN := .venv/bin
SCRATCH := build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

install: ## set up this machine: system packages and .venv (PYTHON=... chooses the interpreter)
	@sh scripts/setup.sh

run: install ## start the whole service on http://127.0.0.1:8000; Ctrl-C stops it
	@exec $(BIN)/timbrescope up

browser: install ## set up chromium too, for the tests of the page and for bench
	@sh scripts/setup.sh browser

test: lint browser ## every check and every test
	$(BIN)/pytest

test-reliability: install ## the reliability tests in full (ROW=... chooses a row of the table)
	$(BIN)/python -m tests.reliability $(ROW)

check: lint ## the fast part: format, lint, types, import contracts, unit tests
	$(BIN)/pytest -m "not slow" tests/unit

lint: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: browser ## measure (ROW=... chooses a row of the table)
	$(BIN)/python -m bench $(ROW)

openapi: install ## write openapi/openapi.json anew from the code
	$(BIN)/python -m service.openapi openapi/openapi.json

fmt: install ## format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove the virtual environment, builds and caches (not the state of a service)
	rm -rf .venv $(SCRATCH)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
