# One entry. `make` runs every check; `make demo` and `make test` set themselves up first.
# Needs Python 3.11 or newer, git and make; everything else comes from the hashed lock files.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
CODE   := src tests tools

# A stamp carries the hash of what it stands for, so nothing depends on file times:
# a lock file that changes names another stamp, and the set-up runs again.
stamp_of = $(firstword $(shell cat $(1) | sha256sum))
UV_STAMP      := $(VENV)/.setup-$(call stamp_of,locks/setup.txt)
RUNTIME_STAMP := $(VENV)/.runtime-$(call stamp_of,locks/setup.txt locks/runtime.txt pyproject.toml)
DEV_STAMP     := $(VENV)/.dev-$(call stamp_of,locks/setup.txt locks/dev.txt pyproject.toml)

export UV_COMPILE_BYTECODE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Small matrices: a second thread of the library for them only waits, and that twice as long.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: check help setup dev demo test coverage fast docs tidy format lint types contracts \
        golden templates bench lock wheel hooks clean
.DEFAULT_GOAL := check
.NOTPARALLEL:

check: format lint types contracts test  ## every check: format, lint, types, contracts, tests

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# ---- set-up ------------------------------------------------------------------------------------

setup: $(if $(wildcard $(DEV_STAMP)),,$(RUNTIME_STAMP))  ## what `duewise` needs, into .venv

dev: $(DEV_STAMP)  ## the same, and what the checks need

$(UV_STAMP):
	sh tools/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/setup.txt
	@rm -f $(VENV)/.setup-* && touch $@

# Synchronising removes what the lock file does not name, and our own package with it.
define install
$(UV) pip sync --quiet --python $(VENV) --require-hashes locks/setup.txt $(1)
$(UV) pip install --quiet --python $(VENV) --no-deps --no-build-isolation --editable .
@rm -f $(VENV)/.runtime-* $(VENV)/.dev-* && touch $@
endef

$(RUNTIME_STAMP): | $(UV_STAMP)
	$(call install,locks/runtime.txt)

$(DEV_STAMP): | $(UV_STAMP)
	$(call install,locks/dev.txt)

# ---- run it ------------------------------------------------------------------------------------

demo: setup  ## the whole road on a lender that never was; ARGS="--borrowers 2000" for less
	$(BIN)/duewise demo $(ARGS)

bench: dev  ## the figures of docs/benchmarks.md, measured here
	$(BIN)/duewise bench $(ARGS)

# ---- check it ----------------------------------------------------------------------------------

test: dev  ## every test
	$(BIN)/pytest -n 2 --dist loadscope $(ARGS)

coverage: dev  ## every test, and which lines they reach: half as long again
	$(BIN)/pytest -n 2 --dist loadscope --cov --cov-report=term $(ARGS)

fast: dev  ## the core's tests only: seconds
	$(BIN)/pytest tests/unit tests/property tests/tables $(ARGS)

tidy: dev  ## what the code and the docs promise about themselves
	$(BIN)/pytest tests/test_tidy.py tests/test_docs.py $(ARGS)

format: dev
	$(BIN)/ruff format --check $(CODE)

lint: dev
	$(BIN)/ruff check $(CODE)

types: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports

# ---- write it anew -----------------------------------------------------------------------------

golden: dev  ## rewrite the golden files; review the diff
	DUEWISE_GOLDEN=rewrite $(BIN)/pytest tests/golden $(ARGS)

templates: dev  ## rewrite what the shipped templates declare of themselves; review the diff
	$(BIN)/python -m tools.templates

docs: dev  ## rewrite the generated pages of docs/reference
	$(BIN)/python tools/reference.py

lock: dev  ## pin the newest versions pyproject.toml allows, with hashes
	sh tools/lock.sh $(UV)

wheel: dev  ## dist/duewise-*.whl
	$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist

hooks: dev  ## run the checks before every commit (needs pre-commit on the PATH)
	pre-commit install

clean:  ## forget caches and builds; keep .venv and workspaces
	rm -rf build dist .coverage coverage.xml .mypy_cache .pytest_cache .ruff_cache \
	       .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
