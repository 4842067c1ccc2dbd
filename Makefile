# Needs Python 3.11 or newer and make, nothing else. `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PORT ?= 8000
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 600
BENCH_VENV := .venv-bench
ROOMS := config jobs notifications bonds yields maturity
SDK := bonds/tests/sdk
CHECK_STATE := .local/check

.DEFAULT_GOAL := help
.PHONY: help demo test kill-matrix mutants fuzz lint types imports check-migrations bench bench-scale bench-chain clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.embedded-installed  ## the whole product on this machine; Ctrl-C stops it (PORT=8000)
	@export STATE_DIR=$${STATE_DIR:-.local/demo}; exec $(PY) -W ignore manage.py demo --port $(PORT) $(DEMO_ARGS)

test: $(VENV)/.dev-installed node-packages  ## every test; browser and Node suites where chromium and Node are (PYTEST_ARGS=)
	@$(PY) -m pytest $(PYTEST_ARGS)

kill-matrix: $(VENV)/.dev-installed  ## every point by every death, 48 cells, some minutes (make test plays a part of them)
	@KILL_MATRIX=whole $(PY) -m pytest jobs/tests/kill $(PYTEST_ARGS)

mutants: $(VENV)/.dev-installed  ## takes the queue's guards away one by one; the tests must notice each
	@$(PY) -W ignore -m jobs.tests.mutants

fuzz: $(VENV)/.dev-installed  ## random and damaged bytes into every decoder of the chain, ten minutes (FUZZ_SECONDS=600)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(PY) -W ignore -m bonds.tests.fuzz

lint: $(VENV)/.dev-installed  ## style of Python and Dockerfile
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/hadolint deploy/Dockerfile

types: $(VENV)/.dev-installed  ## mypy
	$(PY) -m mypy $(ROOMS) manage.py

imports: $(VENV)/.dev-installed  ## who may import whom
	$(VENV)/bin/lint-imports

check-migrations: $(VENV)/.dev-installed  ## models and migrations agree
	@export STATE_DIR=$(CHECK_STATE); result=0; \
	$(PY) -W ignore manage.py makemigrations --check --dry-run || result=$$?; \
	$(PY) -W ignore manage.py devdb remove; exit $$result

bench: $(VENV)/.embedded-installed $(BENCH_VENV)/.installed  ## this queue beside others; writes docs/performance.md; half an hour (BENCH_ARGS=--quick)
	@$(PY) -W ignore -m bench.queue $(BENCH_ARGS)

bench-scale: $(VENV)/.embedded-installed  ## this queue on a table of six million rows; prints what docs/scaling.md quotes (BENCH_ARGS=)
	@$(PY) -W ignore -m bench.scale $(BENCH_ARGS)

bench-chain: $(VENV)/.embedded-installed  ## signing and catching up with the chain; writes docs/chain-performance.md (BENCH_ARGS=)
	@$(PY) -W ignore -m bench.chain $(BENCH_ARGS)

clean:  ## stops this checkout's servers; removes the environment, all state and all caches
	@if [ -x $(PY) ]; then for state in .local .local/demo .local/test $(CHECK_STATE); do \
		if [ -d $$state ]; then STATE_DIR=$$state $(PY) -W ignore manage.py devdb remove || exit 1; fi; done; fi
	rm -rf $(VENV) $(BENCH_VENV) .local staticfiles $(SDK)/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# pip comes last when an environment is made: where it is, the environment is whole.
$(VENV)/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is %d.%d: set PYTHON=" % sys.version_info[:2])'
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.embedded-installed: requirements.txt requirements-embedded.txt | $(VENV)/bin/pip
	@echo "Installing requirements-embedded.txt ..."
	@$(PIP) install -r requirements-embedded.txt
	@touch $@

$(VENV)/.dev-installed: requirements.txt requirements-embedded.txt requirements-dev.txt | $(VENV)/bin/pip
	@echo "Installing requirements-dev.txt ..."
	@$(PIP) install -r requirements-dev.txt
	@touch $(VENV)/.embedded-installed $@

# The queues compared with never meet the product's packages.
$(BENCH_VENV)/.installed: requirements-bench.txt | $(VENV)/bin/pip
	@echo "Installing requirements-bench.txt into $(BENCH_VENV) ..."
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-bench.txt
	@touch $@

# The suite that talks to the devnet with the chain's official SDK; without npm it is skipped, and says so.
.PHONY: node-packages
node-packages:
	@if [ -f $(SDK)/package.json ] && command -v npm >/dev/null && [ ! $(SDK)/node_modules/.package-lock.json -nt $(SDK)/package-lock.json ]; then \
		echo "Installing the packages of $(SDK) ..."; cd $(SDK) && npm ci --no-audit --no-fund --loglevel=error; fi
