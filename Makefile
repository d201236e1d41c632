# Every target does its own set-up: a virtual environment with the versions of constraints.txt, made once.
PYTHON ?= python3.11
DATA ?= ../shared/data
OUT ?= build/prior
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test test-external test-long test-fuzz mutants lint bench prior clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/cryoprior demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest --quiet --numprocesses auto --maxprocesses 4

# RELION, Chromium and SLURM come from the system, cryoDRGN, submitit and Dask from the extras; they are looked for on the PATH and beside Python
test-external: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[dev,heterogeneity,cluster]' --constraint constraints.txt
	OMP_NUM_THREADS=1 $(BIN)/pytest --quiet --numprocesses auto --maxprocesses 2 -m "external and not slow"

# every command's results, bit for bit, and every command of docs/reproduce.md
test-long: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest --quiet --numprocesses auto --maxprocesses 2 -m slow tests/unchanged tests/test_reproduce.py

# 1,500 damaged inputs beside the 300 of `make test`, in two processes; `python -m fuzz` in tests/ runs all
test-fuzz: $(STAMP)
	export PYTHONPATH=tests OMP_NUM_THREADS=1; \
	$(BIN)/python -m fuzz --seed 1 --count 1500 --part 1/2 & first=$$!; \
	$(BIN)/python -m fuzz --seed 1 --count 1500 --part 2/2 && wait $$first

# faults put in on purpose, one at a time: the default suite must notice every one
mutants: $(STAMP)
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m mutants

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" CRYOPRIOR_SHARED_DATA=$(DATA) benchmarks/run.sh

prior: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" recipes/embedded/run.sh $(DATA) $(OUT)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist build
