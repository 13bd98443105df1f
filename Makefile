# Each target that needs the environment makes it from requirements.lock when it is missing or stale.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
TORCH ?= torch==2.13.0
FAISS ?= faiss-cpu==1.15.1
UV ?= uv

VENV := .venv
BENCH_VENV := .venv-bench
RAY_VENV := .venv-ray
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(BENCH_VENV)/.installed
RAY_INSTALLED := $(RAY_VENV)/.installed
# The others run in an environment with PyTorch and FAISS, which this one lacks.
TYPED_BENCHMARKS := $(filter-out benchmarks/torch_% benchmarks/faiss_%,$(wildcard benchmarks/*.py))
PIP_INSTALL := -m pip install -qq --disable-pip-version-check --no-input

.PHONY: help
help:  ## List the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -nE 's/^([a-z-]+):.*## (.*)/  \1: \2/p' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED)  ## Make .venv from the lock file
	@echo "ready: $(VENV)/bin/rrl"

.PHONY: run
run: $(INSTALLED)  ## Train and compare the first three arms on hopper-medium (fifteen minutes, two cores)
	@RRL_CELLS="$${RRL_CELLS:-$${RRL_RUNS:-runs}/cells}" $(VENV)/bin/rrl ablate first-look

.PHONY: test
test: $(INSTALLED)  ## Run the tests
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile

.PHONY: test-long
test-long: $(INSTALLED)  ## Run the tests that take minutes: ten thousand random games by each of two referees
	@XLA_FLAGS= $(VENV)/bin/python -m pytest -n 2 --dist load -m long

.PHONY: test-ray
test-ray: $(RAY_INSTALLED)  ## Run the tests on a Ray cluster of two local nodes (makes .venv-ray)
	@$(RAY_VENV)/bin/python -m pytest -m ray tests

.PHONY: test-faults
test-faults: $(INSTALLED)  ## Try faults, bad input, a soak and fresh installs in the long form (an hour, two cores)
	@$(VENV)/bin/python benchmarks/faults/run.py

.PHONY: check
check: $(INSTALLED)  ## Check format, lint, types and the import contract
	@$(VENV)/bin/ruff format --check --quiet . || { echo "run: $(VENV)/bin/ruff format ."; exit 1; }
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@MYPYPATH=benchmarks $(VENV)/bin/mypy $(TYPED_BENCHMARKS)
	@MYPYPATH=benchmarks/faults $(VENV)/bin/mypy benchmarks/faults/*.py
	@$(VENV)/bin/lint-imports

.PHONY: smoke
smoke: $(INSTALLED)  ## Run every command end to end on a tiny setting
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash tests/smoke.sh

.PHONY: smoke-all
smoke-all: $(INSTALLED)  ## Run every study on a tiny setting (twenty minutes, two cores)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash tests/smoke_all.sh

.PHONY: bench
bench: $(INSTALLED) $(BENCH_INSTALLED)  ## Measure speed against others and the machine's limit, into bench.json (half an hour; makes .venv-bench)
	@$(VENV)/bin/python benchmarks/run_all.py --bench-python $(BENCH_VENV)/bin/python

.PHONY: bench-index
bench-index: $(INSTALLED) $(BENCH_INSTALLED)  ## Measure indexes of one to fifty million keys (long; tens of GB)
	@$(VENV)/bin/python benchmarks/index_tradeoff.py --faiss-python $(BENCH_VENV)/bin/python
	@$(VENV)/bin/python benchmarks/index_50m.py

.PHONY: lock
lock: pyproject.toml  ## Write requirements.lock anew (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or set UV=PATH" >&2; exit 1; }
	@$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock
	@$(UV) pip compile pyproject.toml --extra dev --extra ray --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
	  -c requirements.lock -o requirements-ray.lock

.PHONY: clean
clean:  ## Remove what the targets made, except runs
	@rm -rf $(VENV) $(BENCH_VENV) $(RAY_VENV) dist build .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache .hypothesis
	@find retrieve_rl tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "removed environments, caches and builds; runs/ and the data sets stay: delete them yourself"

# Filled in place: a venv that others run from is never deleted under them.
$(INSTALLED): requirements.lock pyproject.toml
	$(call require_python)
	@echo "making $(VENV) from requirements.lock (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python $(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(RAY_INSTALLED): requirements-ray.lock pyproject.toml
	$(call require_python)
	@echo "making $(RAY_VENV) from requirements-ray.lock"
	@$(PYTHON) -m venv $(RAY_VENV)
	@$(RAY_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r requirements-ray.lock
	@$(RAY_VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# PyTorch and FAISS stand outside the lock file: nothing but the benchmarks needs them.
$(BENCH_INSTALLED): Makefile
	$(call require_python)
	@echo "making $(BENCH_VENV) with $(TORCH) and $(FAISS)"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) "$(TORCH)" "$(FAISS)" numpy
	@touch $@

define require_python
@command -v $(PYTHON) >/dev/null \
  || { echo "$(PYTHON) not found: install Python 3.11 to 3.13, or name one: make PYTHON=python3.12" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
  || { echo "$$($(PYTHON) --version) found, 3.11 to 3.13 needed: make PYTHON=python3.12" >&2; exit 1; }
endef
