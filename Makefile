# Everything here sets itself up: Python 3.11 or newer is all that a machine needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
SAM_VENV := .venv-sam
BIN := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check --require-hashes
UV := $(BIN)/uv pip install --quiet --require-hashes --no-python-downloads --compile-bytecode
SEED ?= 1
ONE_IN ?= 12

.PHONY: help rehearse test lint types template unit test-full kill-points bench bench-judge bench-judge-full bench-releases bench-garbage test-sam requirements clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

rehearse: $(VENV)/ready ## replace a host under retirement in a sample fleet, on the twin
	@$(BIN)/caretaker rehearse --seed $(SEED)

test: lint types template unit ## every quick check

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

template: $(VENV)/ready
	$(BIN)/cfn-lint template.yaml

unit: $(VENV)/ready
	$(BIN)/pytest -n 2 --dist loadgroup -m "not long"

test-full: test ## the long checks too: chaos, planted mistakes, random fleets, one in ONE_IN kill points
	$(BIN)/pytest -n 2 --dist loadgroup -m long --one-in $(ONE_IN)

kill-points: $(VENV)/ready ## every moment at which a function or an execution can be cut short: hours
	$(BIN)/pytest -s -m moments

bench: $(VENV)/ready ## the published figures: imports, ECS calls, a large fleet
	$(BIN)/python -m benchmarks.bench_imports
	$(BIN)/python -m benchmarks.bench_ecs
	$(BIN)/python -m benchmarks.bench_fleet

bench-judge: $(VENV)/ready ## how often the judge of a release is wrong, next to others; part of the grid, a few minutes
	$(BIN)/python -m benchmarks.judge --seed $(SEED)

bench-judge-full: $(VENV)/ready ## the whole grid, about an hour; writes the figures of docs/judge.md
	$(BIN)/python -m benchmarks.judge --full --seed $(SEED) --runs 300 --keep build/judge --write docs/judge

bench-releases: $(VENV)/ready ## how long users meet bad releases: Caretaker against Express Mode's rule
	$(BIN)/python -m benchmarks.bench_releases

bench-garbage: $(VENV)/ready ## an observation of 500 Express services on 20 load balancers, and its verdicts
	$(BIN)/python -m benchmarks.bench_garbage

test-sam: $(VENV)/ready $(SAM_VENV)/ready ## sam validate, sam build, and a function in a real container (needs Docker)
	PATH="$(CURDIR)/$(SAM_VENV)/bin:$$PATH" tests/sam/run

$(VENV)/ready: requirements-tools.txt requirements-dev.txt functions/requirements.txt pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install $(PIP_FLAGS) -r requirements-tools.txt
	$(UV) --python $(BIN)/python -r requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(SAM_VENV)/ready: $(VENV)/ready requirements-sam.txt
	$(PYTHON) -m venv --clear $(SAM_VENV)
	$(UV) --python $(SAM_VENV)/bin/python -r requirements-sam.txt
	touch $@

requirements: $(VENV)/ready ## pin the requirement files anew
	for name in requirements-tools functions/requirements requirements-dev requirements-sam; do \
	  $(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --no-strip-extras --quiet $$name.in --output-file $$name.txt || exit 1; done

clean: ## remove what the targets above made
	rm -rf $(VENV) $(SAM_VENV) .aws-sam build
