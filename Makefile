# Everything runs from the virtual environment that the lock file describes; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo down status check test test-fast test-models lint format typecheck bench lock clean
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --durations 20

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP) ## Create the environment from requirements.lock

demo: $(STAMP) ## Start the stack, simulate three days of events, load, materialise, check, print the KPIs
	$(BIN)/millrace demo

down: $(STAMP) ## Stop the stack
	$(BIN)/millrace down

status: $(STAMP) ## Say what is running, and where
	$(BIN)/millrace status

check: lint typecheck ## Check format, lint, imports, dependencies, types and contracts

test: check ## Run every check and every test
	$(PYTEST)

test-fast: $(STAMP) ## Run what needs no stack, and one smoke run of each source
	$(PYTEST) -m "not stack or smoke"

test-models: $(STAMP) ## Build and unit-test the models changed since the last commit, or SELECT=..., on the running stack
	$(BIN)/python -m tests.models $(SELECT)

lint: $(STAMP) ## Lint Python, imports, contracts and generated files (SQL is linted by the tests, it needs the stack)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry . 2>&1
	$(BIN)/millrace contracts check

typecheck: $(STAMP) ## Check the types
	$(BIN)/mypy

format: $(STAMP) ## Format Python
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure the loader, an hourly run and every step; ARGS="--only steps" one of them
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(STAMP) ## Resolve the dependencies again and write requirements.lock
	$(BIN)/pip-compile --quiet --all-extras --generate-hashes --strip-extras --allow-unsafe --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml

clean: ## Remove the laptop stack's data (after `make down`)
	rm -rf .millrace
