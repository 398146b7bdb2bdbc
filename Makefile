# `make compare` and `make test` do all the set-up on a fresh machine: a virtual environment with the tested versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: compare test lint clean

# The five variants on both embedded corpora; prints a table for each task and the path of one page. OVERRIDES="seed=1,2,3" changes it.
compare: $(VENV)/installed
	@runs=$$($(BIN)/attncompare train experiment=five_variants $(OVERRIDES)) && $(BIN)/attncompare compare "$$runs"

test: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Made again whenever a dependency changes. constraints.txt pins torch to a version of which a CPU build may be at hand; where none is,
# pip takes the registry's.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV)
