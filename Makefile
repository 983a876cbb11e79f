# Every target does its own set-up; what is done already costs nothing. `make help` lists them.
SHELL := /bin/bash
VENV := $(or $(LAB7_VENV),.venv)
BIN := $(VENV)/bin
# Where tc and many servers are: the PATH of an ordinary user of Debian lacks them.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# Without cached bytecode each of the thousands of processes of a test run compiles lab7 anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup peers virtual run test test-slow test-kernel test-vm check format bench index docs release clean

help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: ## Install the system packages (with sudo where needed), the virtual environment and lab7.
	@scripts/provision.sh

peers: ## Set-up, and the real servers and clients that can take the place of lab7's services (optional).
	@scripts/provision.sh --peers

virtual: ## Set-up, and the kernel of virtual time (lab7 run --time virtual), built once; x86-64 only.
	@scripts/provision.sh --virtual

run: setup ## Run every experiment, in virtual time where its kernel can be built; prints the path of the report.
	@scripts/provision.sh --virtual || printf 'run: no kernel of virtual time here, so the clock is the machine'"'"'s\n' >&2
	@$(BIN)/lab7 run

test: setup ## All tests that take seconds: core, loopback, emulation.
	@$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow' tests

test-slow: setup ## The tests that take longer, those in the kernel of virtual time among them.
	@scripts/provision.sh --kernel
	@LAB7_KERNEL=yes $(BIN)/python -m pytest -m slow tests

test-kernel: ## Links and switches in a kernel with netem and Open vSwitch, which runs as a program.
	@scripts/provision.sh --kernel
	@LAB7_KERNEL=yes $(BIN)/python -m pytest -m 'not slow' --durations=0 --durations-min=5 tests/kernel

test-vm: ## Set-up from nothing, twice and interrupted, then all of lab7, in a Debian root of its own (needs root; 20 minutes).
	@scripts/provision.sh --test-vm
	@LAB7_VM=yes $(BIN)/python -m pytest tests/provision

check: setup ## Lint, format and types.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup ## Format the code and fix what ruff can fix.
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## Speed against peers and delays against what was asked for, in one run.
	@scripts/provision.sh --bench
	@$(BIN)/python -m tests.bench

index: setup ## Write docs/rfc-index.md anew from docstrings and comments.
	@scripts/rfc_index.py --write

docs: setup ## The documentation site in build/site, with the claims' ladders of the runs in results/.
	@$(BIN)/python -c 'import material, mkdocstrings' 2>/dev/null || $(BIN)/python -m pip install -q -e '.[docs]'
	@$(BIN)/python scripts/docs_site.py pages results
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q --strict
	@$(BIN)/python scripts/docs_site.py check
	@echo 'docs: open build/site/index.html'

release: setup ## Build the wheel, test it outside of the checkout, tag the version.
	@scripts/release.sh

clean: ## Remove the virtual environment, caches and results.
	rm -rf $(VENV) results build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
