# `make demo` and `make test` need Python 3.11 or newer and make; they fetch the rest.
# Each set-up step leaves a file behind, and the next run skips the step.
# Packages come from the sources that this machine's pip and apt are configured to use.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# The first of these that is 3.11 or newer makes the environment.
PYTHON ?= python3.11 python3 python3.12 python3.13 python3.14
# Passed to the demo, pytest or the benchmarks: make test ARGS="-k pairing".
ARGS ?=
# The number of processes that run tests in parallel; they mostly wait for daemons.
WORKERS ?= 4

VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input

# Read when a recipe runs, after the file was written. A value from the environment has priority.
KARMA_SYNC_SYNCTHING ?= $(shell sed -n 's/^KARMA_SYNC_SYNCTHING=//p' build/syncthing.env 2>/dev/null)
KARMA_SYNC_SYNCTHING_2 ?= $(shell sed -n 's/^KARMA_SYNC_SYNCTHING_2=//p' build/syncthing.env 2>/dev/null)
WITH_SYNCTHING = KARMA_SYNC_SYNCTHING="$(KARMA_SYNC_SYNCTHING)" \
	$(if $(KARMA_SYNC_SYNCTHING_2),KARMA_SYNC_SYNCTHING_2="$(KARMA_SYNC_SYNCTHING_2)")

# A file system in memory, if there is one with 4 GB of room on which programs can run.
IN_MEMORY = $(shell set -- $$(df -Pk /dev/shm 2>/dev/null | tail -1); test "$${4:-0}" -gt 4000000 \
	&& ! grep -q ' /dev/shm .*noexec' /proc/mounts && echo /dev/shm)
# Tests wait for the disk each time that something is written durably, and start this program
# hundreds of times: it is compiled once, whatever the environment asks for.
PYTEST = TMPDIR="$(or $(TMPDIR),$(IN_MEMORY),/tmp)" PYTHONDONTWRITEBYTECODE= $(WITH_SYNCTHING) \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-git test-agent test-all bench lint types fmt env syncthing lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: env build/syncthing.env ## Watch two members with two Syncthings share sessions (ARGS="--json")
	@$(WITH_SYNCTHING) $(BIN)/karma-sync demo $(ARGS)

test: env build/syncthing-both ## Run the tests, except the slow ones (ARGS="-k name")
	$(PYTEST) -m "not slow" $(ARGS)

test-git: env build/old-git.done ## Run the tests of git with the oldest git that the README names
	PATH="$(CURDIR)/build/old-git/usr/bin:$$PATH" $(BIN)/python -m pytest tests/unit/git tests/unit/service/test_project_scan.py $(ARGS)

test-agent: env build/agent.done ## Run the real agent, without any network, on what karma-sync forks and serves
	$(BIN)/python -m pytest tests/agent $(ARGS)

test-all: env build/syncthing-both build/agent.done ## Run every test
	$(PYTEST) $(ARGS)

bench: env build/syncthing-both ## Measure into build/bench.json (see benchmarks/README.md)
	$(WITH_SYNCTHING) $(BIN)/python -m benchmarks $(ARGS)

lint: env ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env ## Check types
	$(BIN)/mypy
	$(BIN)/mypy scripts

fmt: env ## Fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

env: $(VENV)/.installed ## Make .venv with the pinned packages and this project

syncthing: ## Look for Syncthing again, both versions
	@rm -f build/syncthing-both
	@$(MAKE) --no-print-directory build/syncthing-both

lock: $(VENV)/.made ## Renew requirements-dev.lock with the newest versions that pyproject.toml allows
	rm -rf build/lock
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip install --quiet hatchling editables
	build/lock/bin/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	sed -n '/^#/p' requirements-dev.lock > build/lock/header
	build/lock/bin/python -m pip freeze --exclude-editable | grep '==' > build/lock/pins
	cat build/lock/header build/lock/pins > requirements-dev.lock
	rm -rf build/lock

clean: ## Remove all files that make created
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@for python in $(PYTHON); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { lacking="$${lacking:-$$python}"; continue; }; \
		echo "environment: $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv $(VENV) && touch $@; exit; \
	done; \
	if [ -n "$$lacking" ]; then \
		echo "$$lacking cannot make an environment: it came without ensurepip."; \
		echo "On Debian and Ubuntu type: apt-get install $${lacking##*/}-venv"; \
	else \
		echo "karma-sync needs Python 3.11 or newer; looked for: $(PYTHON)."; \
		echo "Install one, or name yours: make PYTHON=/path/to/python3"; \
	fi >&2; exit 1

$(VENV)/.pinned: requirements-dev.lock $(VENV)/.made
	@echo "environment: $$(grep -c == $<) packages, as pinned in $<"
	@$(PIP) install --quiet --no-deps --requirement $<
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.pinned
	@echo "environment: karma-sync itself"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check > $@ || { cat $@; \
		echo "requirements-dev.lock does not have all that pyproject.toml asks for; type: make lock"; \
		exit 1; } >&2

# The demo needs one Syncthing; the tests also need a newer one.
build/syncthing.env: scripts/get_syncthing.py $(VENV)/.made
	@$(BIN)/python $<

build/syncthing-both: scripts/get_syncthing.py $(VENV)/.made
	@$(BIN)/python $< --both
	@touch $@

# The version of the agent is in the script.
build/agent.done: scripts/get_agent.py scripts/get_syncthing.py $(VENV)/.made
	@$(BIN)/python $<
	@touch $@

build/old-git.done: scripts/get_old_git.py scripts/get_syncthing.py $(VENV)/.made
	@$(BIN)/python $<
	@touch $@
