# `make compare` and `make test` do all the set-up on a fresh machine: a virtual environment with the tested versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/tools

# Each file that pip takes has one of the hashes in constraints.txt, also those that a source distribution is built with.
PIP := -m pip install --quiet --constraint constraints.txt --build-constraint constraints.txt
# The build of torch without CUDA, for Linux: much smaller, and taken where pip finds it, as through PIP_FIND_LINKS.
CPU_TORCH := torch==2.13.0+cpu
CPU_TORCH_HASH := sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

.PHONY: compare primer docs-primer pictures tables reproduce test test-long bench bench-gpu lint audit constraints clean

# The five variants on both embedded corpora; prints a table for each task and the path of one page. OVERRIDES="seed=1,2,3" changes it.
compare: $(VENV)/installed
	@runs=$$($(BIN)/attncompare train experiment=five_variants $(OVERRIDES)) && $(BIN)/attncompare compare "$$runs"

# A primer on attention as one page, whose path it prints; the models in it are trained in a few minutes, or with PRIMER=--quick for seconds.
primer: $(VENV)/installed
	@$(BIN)/attncompare primer $(PRIMER)

# docs/variants.png: what the five variants attend to in one sentence; they are trained for it, in some minutes.
VARIANTS := additive dot scaled causal multihead
comma := ,
pictures: $(VENV)/installed
	@rm -rf build/pictures
	@sweep=$$($(BIN)/attncompare train -m attention=$(subst $() ,$(comma),$(VARIANTS)) data=locale trainer.max_steps=400 \
	    data.val_size=40 data.test_size=40 tracking=disabled runs=build/pictures) && \
	    $(BIN)/python docs/pictures.py docs/variants.png $$(for name in $(VARIANTS); do echo "$$sweep"/*-$$name-*; done)

# docs/primer.md with its pictures, and examples/primer.ipynb, from the chapters in examples/primer.
docs-primer: $(VENV)/installed
	$(BIN)/attncompare primer --markdown docs/primer.md --notebook examples/primer.ipynb

# The tables of the README and docs/reference.md, from the records that come with the code.
tables: $(VENV)/installed
	$(BIN)/python docs/tables.py

# Trains the record that comes with the code again and says whether the numbers are the same; REFERENCE=name takes another one.
REFERENCE ?= reverse-additive
reproduce: $(VENV)/installed
	@$(BIN)/attncompare reproduce reference/$(REFERENCE)

test: $(VENV)/tests
	$(BIN)/python -m pytest

test-long: $(VENV)/extras
	$(BIN)/python -m pytest -m long

# Speed beside peers, as docs/performance.md has it; BENCHMARKS="train decode" chooses. An hour or so; BENCH="--quick" shows that it works.
BENCHMARKS ?= attention train recurrent overhead decode startup kernels waiting
bench: $(VENV)/benchmarks
	@set -e; for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name $(BENCH); done

# The same on a GPU. $(CPU_TORCH) finds none: there, `pip install torch` into the environment first.
GPU_TABLES ?= docs/performance-gpu.md
GPU_BENCHMARKS := attention train decode
bench-gpu: $(VENV)/installed
	@if ! $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	    echo "torch finds no CUDA device here: nothing was measured, and the tables of the CPU stand (docs/performance.md)."; \
	else \
	    set -e; { echo "# Speed on a GPU"; echo; echo 'Made by `make bench-gpu`; docs/performance.md says what is measured, and how.'; \
	    for name in $(GPU_BENCHMARKS); do echo; $(BIN)/python -m benchmarks.$$name --device cuda; done; \
	    } > $(GPU_TABLES).part; mv $(GPU_TABLES).part $(GPU_TABLES); echo $(GPU_TABLES); \
	fi

lint: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Looks each version up in the public database of advisories; fails where one is affected or cannot be looked up.
audit: $(TOOLS)/installed
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --requirement constraints.txt $(AUDIT)

# To be made again whenever a dependency changes: all hashes anew, but versions only by UPGRADE="--upgrade-package NAME" or UPGRADE=--upgrade.
constraints: $(TOOLS)/installed
	perl -ni -e 'print s/ \\$$//r unless /--hash=/' constraints.txt
	$(TOOLS)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --quiet \
	    --no-config --no-annotate --custom-compile-command "make constraints" --output-file constraints.txt $(UPGRADE)
	perl -pi -e 's/^torch==.*\\\n/$$&    --hash=$(CPU_TORCH_HASH) \\\n/' constraints.txt

# $(call venv,FOLDER): a virtual environment with the pip of constraints.txt, as older ones refuse hashes in constraints.
define venv
	$(PYTHON) -m venv $(1)
	sed -n '/^pip==/,/[^\\]$$/p' constraints.txt | $(1)/bin/python -m pip install --quiet --require-hashes --requirement /dev/stdin
endef

# $(call wanted,GROUPS): the requirements of pyproject.toml, one in a line: pip takes hashes for files only, so not for `.[dev]`.
wanted = $(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*$(1), sep="\n")'

# What running takes, and what builds the package itself without a network.
$(VENV)/installed: pyproject.toml constraints.txt
	$(call venv,$(VENV))
	$(BIN)/python $(PIP) $(CPU_TORCH) || echo "$(CPU_TORCH) with its known hash is not at hand: the next step takes the full build."
	$(call wanted,p["dependencies"] + p["optional-dependencies"]["digits"] + ["editables"] + ["hatchling"]) | $(BIN)/python $(PIP) --requirement /dev/stdin
	$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/tests: $(VENV)/installed
	$(call wanted,p["optional-dependencies"]["dev"]) | $(BIN)/python $(PIP) --requirement /dev/stdin
	@touch $@

# Ray brings thirty packages: only the long tests want it.
$(VENV)/extras: $(VENV)/tests
	$(call wanted,p["optional-dependencies"]["ray"]) | $(BIN)/python $(PIP) --requirement /dev/stdin
	@touch $@

# The libraries that benchmarks measure against.
$(VENV)/benchmarks: $(VENV)/installed
	$(call wanted,p["optional-dependencies"]["bench"]) | $(BIN)/python $(PIP) --requirement /dev/stdin
	@touch $@

$(TOOLS)/installed: pyproject.toml constraints.txt
	$(call venv,$(TOOLS))
	$(call wanted,p["optional-dependencies"]["audit"]) | $(TOOLS)/bin/python $(PIP) --requirement /dev/stdin
	@touch $@

clean:
	rm -rf $(VENV)
