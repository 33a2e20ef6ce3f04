# `make run` and `make test` need nothing but Python 3.11 to 3.13 and make.
# make's own words go to stderr, so that `make -s run ARGS="--json ..."` leaves data alone on stdout.

# The first interpreter that runs and is new enough (a pyenv shim may exist and not run).
RIGHT  := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(RIGHT)' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all:

.PHONY: run test test-services soak soak-kills check format lock bench clean

run: $(VENV)/.runtime
	@$(BIN)/python main.py $(ARGS)

# Everything that a bare machine can check: lint, types, imports, tests. In order of the folders: the long ones are through
# before the many short ones of tests/unit, which both workers then share to the end.
test: $(VENV)/.dev
	@$(BIN)/ruff check . >&2
	@$(BIN)/ruff format --check . >&2
	@$(BIN)/mypy >&2
	@$(BIN)/lint-imports >&2
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix . >&2
	@$(BIN)/ruff format . >&2

# What needs servers: MongoDB's protocol, an S3 server. Where none is told of, they are started from ../shared.
test-services: $(VENV)/.services $(VENV)/.s3-server
	@$(BIN)/python -m tests.services.run $(ARGS)

# Every invariant under accidents, then the lively market to the last digit, on a virtual clock: so many HOURS of each.
HOURS ?= 24
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.invariants.soak --hours $(HOURS) $(ARGS)
	@CRYPTO_PIPE_LIVELY_HOURS=$(HOURS) $(BIN)/python -m pytest tests/invariants/test_lively_hour.py

# The bot, MongoDB and both killed KILLS times each, at random moments (CI: 20); about an hour.
KILLS ?= 200
soak-kills: $(VENV)/.services $(VENV)/.s3-server
	@CRYPTO_PIPE_KILLS=$(KILLS) $(BIN)/python -m tests.services.run tests/services/test_mongo_kill.py $(ARGS)

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)

# Locks every platform and Python version at once; needs uv.
lock:
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 --no-header -o requirements-dev.txt
	uv pip compile pyproject.toml -c requirements-dev.txt --universal --generate-hashes --python-version 3.11 --no-header -o requirements.txt
	uv pip compile pyproject.toml --group dev --group services -c requirements-dev.txt --universal --generate-hashes --python-version 3.11 --no-header -o requirements-services.txt
	uv pip compile --group s3-server --universal --generate-hashes --python-version 3.11 --no-header -o requirements-s3-server.txt
	uv pip compile pyproject.toml --group bench -c requirements.txt --universal --generate-hashes --python-version 3.11 --no-header -o requirements-bench.txt

$(VENV)/.python:
	@echo "make: creating $(VENV) with $(PYTHON)" >&2
	@$(or $(PYTHON),false) -c '$(RIGHT)' 2>/dev/null || { echo "make: Crypto Pipe needs Python 3.11, 3.12 or 3.13; install one, or name it: make run PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >&2
	@touch $@

$(VENV)/.runtime: $(VENV)/.python requirements.txt
	@echo "make: installing requirements.txt into $(VENV): some 500 MB, a minute or more the first time" >&2
	@$(PIP) -r requirements.txt >&2
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements-dev.txt
	@echo "make: installing requirements-dev.txt into $(VENV)" >&2
	@$(PIP) -r requirements-dev.txt >&2
	@touch $@ $(VENV)/.runtime

$(VENV)/.services: $(VENV)/.dev requirements-services.txt
	@echo "make: installing requirements-services.txt into $(VENV)" >&2
	@$(PIP) -r requirements-services.txt >&2
	@touch $@

$(VENV)/.s3-server: $(VENV)/.python requirements-s3-server.txt
	@echo "make: installing requirements-s3-server.txt into $(VENV)-s3" >&2
	@$(BIN)/python -m venv $(VENV)-s3 >&2
	@$(VENV)-s3/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: -r requirements-s3-server.txt >&2
	@touch $@

$(VENV)/.bench: $(VENV)/.runtime requirements-bench.txt
	@echo "make: installing requirements-bench.txt into $(VENV)" >&2
	@# Two of the peers have no wheel for some Pythons: this one install may build from source.
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes --prefer-binary -r requirements-bench.txt >&2
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-s3 .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
