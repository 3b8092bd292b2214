# Everything a user needs to type. `make` alone says what there is.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON      ?= python3
STACK       ?= dev
VENV        := .venv
DRILL       := $(VENV)/bin/drill
READY       := $(VENV)/.ready
PULUMI      := eval "$$($(DRILL) env)"; pulumi

.PHONY: help setup up down drill test test-fast bench lint lock clean
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Make .venv with the locked dependencies
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": set PYTHON=")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)" >&2
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: setup ## Bring the stack up with the real `pulumi up`
	@$(DRILL) tools install
	@$(PULUMI) stack select --create $(STACK) && pulumi up --stack $(STACK) --yes --skip-preview --suppress-progress

down: setup ## Destroy the stack
	@$(PULUMI) destroy --stack $(STACK) --yes --skip-preview --suppress-progress

drill: up ## Bring the stack up, run the drill forced-expiry, print the verdict
	@$(DRILL) run forced-expiry --stack $(STACK)

test: setup ## Run the whole suite, unit and integration, on a real stack
	@$(DRILL) tools install
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
	@$(VENV)/bin/python -m pytest

test-fast: setup ## Run what needs no server
	@$(VENV)/bin/python -m pytest -m 'not slow'

bench: setup ## Take the figures of docs/BENCHMARKS.md (11 minutes, real servers)
	@$(DRILL) tools install
	@$(VENV)/bin/python -m tests.bench

lint: setup ## Check style and types
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

lock: ## Write requirements.txt anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev --no-annotate --custom-compile-command 'make lock' --output-file requirements.txt pyproject.toml

clean: ## Delete .venv and caches; stacks and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
