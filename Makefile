# Two commands are enough on a fresh machine: `make demo` and `make test`. Both set up $(VENV) first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test test-all lint format bench bench-manifests bench-gates bench-training clean

help:
	@echo "make demo      set up, then run the whole chain on songs it makes itself (minutes)"
	@echo "make test      set up, then run the fast tests"
	@echo "make test-all  the slow tests too"
	@echo "make lint      style and types"
	@echo "make bench     measure the speed of transcription, onsets and features"
	@echo "make bench-manifests  measure the manifest operations on 100 k and 1 M events"
	@echo "make bench-gates      measure the readiness gates"
	@echo "make bench-training   measure the loader and the training steps"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/beatsight demo --output demo

# One thread a worker: the tests run side by side.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-all: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python benchmarks/speed.py

bench-manifests: $(STAMP)
	$(BIN)/python benchmarks/manifests.py

bench-gates: $(STAMP)
	$(BIN)/python benchmarks/gates.py

bench-training: $(STAMP)
	$(BIN)/python benchmarks/training.py

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
