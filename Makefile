# Two commands are all that a fresh machine needs: `make demo` and `make test`.
# Each first makes .venv, which is made again only when what it is made of changes: the versions, or
# the C++ sources of the native executor.

PYTHON ?= $(or $(shell command -v python3.11),python3)
BIN := .venv/bin
# Images of containers say that what Python compiles is not kept; then each of the hundreds of processes
# that tests start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
PACKAGES := jobs models workers orchestration
NATIVE := models/sampling/native
CHECKED := build/checked

.PHONY: help demo test chaos simulate check check-native bench gpu clean .venv

help: ## List the targets
	@grep -hE '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: .venv ## Train a small model, draw by it and by those that ship, and write reports
	$(BIN)/ancestral demo

# In a process for each processor, or in so many: make test PROCESSES=3
PROCESSES ?= auto

# What tests write is synced to the disk, which takes as long as all that they compute: unless TMPDIR
# says where, they write to memory, if there are 4 GiB of it from which programs can be run.
MEMORY := /dev/shm
ROOM = $(shell probe=$$(mktemp -p $(MEMORY) 2>/dev/null) && install -m 755 /bin/true $$probe && \
  $$probe 2>/dev/null && test $$(df -Pk $(MEMORY) | awk 'NR == 2 {print $$4}') -gt 4194304 && \
  echo $(MEMORY); rm -f $$probe)

test: .venv ## Run the tests, against a real Valkey, a real S3 store and a real Ray
	OMP_NUM_THREADS=1 TMPDIR=$(or $(TMPDIR),$(ROOM),/tmp) $(BIN)/pytest \
	  --numprocesses $(PROCESSES) --dist loadgroup --no-loadscope-reorder

chaos: .venv ## Let real faults befall real servers, by the thousand
	CHAOS=long OMP_NUM_THREADS=1 $(BIN)/pytest -m chaos --timeout 1800

# Of a seed that is violated: make simulate SEEDS=1 FIRST_SEED=4711 STORY=--story
SEEDS ?= 500
FIRST_SEED ?= 0
JOBS ?= 1
STORY ?=

simulate: .venv ## Play SEEDS simulated worlds from FIRST_SEED on, in JOBS processes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.simulation --seeds $(SEEDS) \
	  --first-seed $(FIRST_SEED) --jobs $(JOBS) $(STORY)

# Benchmarks find `parts` in their own folder, and so does mypy.
check: .venv .mypy_root ## Lint, formatting, types (of benchmarks, too), and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.mypy_root:benchmarks $(BIN)/mypy .mypy_root benchmarks
	$(BIN)/lint-imports

# The sanitizers stand in for malloc, so their libraries are loaded first, with libstdc++, whose
# exceptions they look for; PYTHONMALLOC has Python ask malloc for every object. Python never frees
# all. A finding ends the process: pytest may not hold back what is printed, nor handle its signals.
check-native: .venv ## Run the native executor's tests, watched by sanitizers
	$(BIN)/python setup.py --quiet build_ext --sanitize \
	  --build-lib $(CHECKED)/lib --build-temp $(CHECKED)/objects
	LD_PRELOAD="$(foreach name,asan ubsan stdc++,$(shell $(CXX) -print-file-name=lib$(name).so))" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	  OMP_NUM_THREADS=1 $(BIN)/pytest --capture=sys -p no:faulthandler tests/models/native \
	  --native-folder $(CHECKED)/lib/ancestral/$(NATIVE)

bench: .venv ## Run every benchmark; each prints a table
	@set -e; for file in $(filter-out benchmarks/gpu.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$file"; $(BIN)/python $$file; done

# Python as it is on the machine, for .venv would hold a lot that a machine with a GPU need not have.
# torch is most likely in the one that is called python3.
GPU ?=
GPU_PYTHON = $(if $(filter file,$(origin PYTHON)),python3,$(PYTHON))

gpu: .mypy_root ## Test and time the executors for GPUs; see benchmarks/gpu.py. GPU="--quick ..."
	PYTHONPATH=$(CURDIR)/.mypy_root:$(PYTHONPATH) $(GPU_PYTHON) benchmarks/gpu.py $(GPU)

clean: ## Remove the environment, what the tools cached, and the demo's output
	rm -rf .venv .mypy_root .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build dist *.egg-info demo $(NATIVE)/*.so

.venv: .venv/stamp ## Make the environment, with the versions of constraints.txt

# setuptools comes first and the build is not isolated, so that it too is the pinned one.
.venv/stamp: pyproject.toml constraints.txt setup.py $(wildcard $(NATIVE)/*.cpp $(NATIVE)/*.h)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Ancestral needs Python 3.11 or newer; say which one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@ls $(NATIVE)/*.so > /dev/null 2>&1 \
	  || echo "There is no native executor, which takes a C++ compiler: sampling will be slow." \
	  "$(BIN)/python setup.py build_ext says more."
	@touch $@

# There is no ancestral/ folder for mypy to find, nor for a Python in which nothing is installed, so
# they are shown one made of links.
.mypy_root:
	mkdir -p $@/ancestral
	for package in $(PACKAGES); do ln -s ../../$$package $@/ancestral/$$package; done
