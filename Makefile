# Set-up, the main job and the tests, one command each. PYTHON chooses the interpreter that makes the environment.
PYTHON ?= python3
BIN := .venv/bin
STORE ?= store/quickstart

.PHONY: setup quickstart test test-newest test-slow lint types check docs wheel clean

setup: .venv/ready

.venv/ready: requirements.txt requirements-dev.txt requirements-d3rlpy.txt requirements-d4rl.txt requirements-ogbench.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "ailot_ray needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt -r requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps -r requirements-d3rlpy.txt -r requirements-d4rl.txt -r requirements-ogbench.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch .venv/ready

quickstart: setup
	$(BIN)/python -m ailot_ray run --task hopper-builtin --methods ailot otr iql bc --seeds 0 1 --store $(STORE) \
	    --icvf.steps 2000 --iql.steps 4000 --video $(STORE)/ailot.mp4
	$(BIN)/python experiments/sweep_tau.py --task hopper-builtin --seeds 0 --store $(STORE) \
	    --icvf.steps 2000 --iql.steps 1000 --iql.snapshots 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

test: setup
	$(BIN)/pytest -n 2

test-slow: setup
	$(BIN)/pytest -m slow

test-newest:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	$(BIN)/pytest

docs:
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet -r docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

wheel:
	$(PYTHON) experiments/tools/check_wheel.py --extras all

check: lint types test

clean:
	rm -rf .venv .venv-docs .cache build site .mypy_cache .ruff_cache .pytest_cache .hypothesis
