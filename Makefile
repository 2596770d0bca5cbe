# Two locks, one environment: `make run` installs what the service needs, every other target what a developer needs.
# Each install leaves a stamp, so that a second call only compares dates.

PYTHON ?=
FILES ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq

# buf otherwise keeps its cache under HOME, which may be missing or read-only.
export BUF_CACHE_DIR := $(CURDIR)/$(VENV)/buf-cache

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench accuracy calibrate fuzz chaos proto contract lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# On loopback, for whoever is on this machine: the service asks for certificates wherever it is not told so.
run: $(RUNTIME) ## Start everything, make and print a first plan, serve until Ctrl-C
	@TONNAGE_DEVELOPMENT=$${TONNAGE_DEVELOPMENT-1} exec $(BIN)/python -m service --demonstrate

test: $(DEV) ## Run the tests (ARGS="-k catalog" to choose)
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV) ## Check style, types, import contracts and protos
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint proto
	$(BIN)/buf format proto --diff --exit-code

format: $(DEV) ## Put code and protos into the one format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format proto --write

bench: $(DEV) ## Measure speed and append rate, and print the figures
	@$(BIN)/python -m tests.bench $(ARGS)

accuracy: $(DEV) ## Compare predictions with measurements (FILES=path/to/memory.csv)
	$(call needs_files,make accuracy FILES=path/to/memory.csv: what engines printed at start)
	@$(BIN)/tonnage accuracy $(FILES)

calibrate: $(DEV) ## Fit the calibration on measurements (FILES=path/to/serving.csv), say how well, write it
	$(call needs_files,make calibrate FILES=path/to/serving.csv: what serving benchmarks measured)
	@$(BIN)/python -m service.calibration $(FILES) --write domain/catalog/releases/2026-11/calibration.toml $(ARGS)

needs_files = @test -n "$(FILES)" || { echo "Name the measurements: $(1)." >&2; exit 2; }

fuzz: $(DEV) ## Send the full number of hostile requests
	@$(BIN)/python -m pytest -m fuzz $(ARGS)

chaos: $(DEV) ## Kill the service and Postgres under load, at full length
	@$(BIN)/python -m pytest -m chaos $(ARGS)

proto: $(DEV) ## Generate the code beside the protos
	find proto -name '*_pb2*.py*' -delete
	cd proto && $(PROTOC) --python_out=. --mypy_out=quiet:. $$(find . -name '*.proto' | LC_ALL=C sort)
	cd proto && $(PROTOC) --grpc_python_out=. --mypy_grpc_out=quiet:. $$(grep -rl --include='*.proto' '^service ' . | LC_ALL=C sort)

PROTOC = PATH="$(CURDIR)/$(BIN):$$PATH" python -m grpc_tools.protoc -I .

contract: $(DEV) ## Record the protos as released: CI refuses what breaks them from then on
	$(BIN)/buf build proto --output proto/base.binpb

lock: ## Choose versions anew within pyproject.toml (ARGS=--upgrade for the newest); needs uv
	@command -v uv > /dev/null || { echo "make lock needs uv on PATH (python3 -m pip install uv)" >&2; exit 1; }
	uv pip compile pyproject.toml --group build -o requirements.lock $(LOCK_FLAGS) $(ARGS)
	uv pip compile pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock $(LOCK_FLAGS) $(ARGS)

# One lock for every supported Python and platform, and no address of the index that it was made with.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

clean: ## Remove the environment and all caches; the data in .state stays
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find domain service migrations proto tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock pyproject.toml | $(VENV)/.python
	@echo "Installing what the service needs (once, about half a minute) ..."
	@$(INSTALL) --require-hashes --only-binary :all: -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing the developer's tools (once) ..."
	@$(INSTALL) --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

$(VENV)/.python:
	@set -e; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Tonnage needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python3)." >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2> /dev/null; then \
	    echo "$$found cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV) && touch $@
