# Two commands are all that a fresh machine needs: `make demo` and `make test`.
# Each first makes .venv, which is made again only when pyproject.toml or constraints.txt change.

PYTHON ?= $(or $(shell command -v python3.11),python3)
BIN := .venv/bin
PACKAGES := jobs models workers orchestration

.PHONY: help demo test check bench clean .venv

help: ## List the targets
	@grep -hE '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: .venv ## Train two small models, run two bulk jobs, and write their reports
	$(BIN)/ancestral demo

test: .venv ## Run the tests, against a real Valkey, a real S3 store and a real Ray
	OMP_NUM_THREADS=1 $(BIN)/pytest

check: .venv .mypy_root ## Lint, formatting, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.mypy_root $(BIN)/mypy --namespace-packages --explicit-package-bases \
	  $(PACKAGES:%=-p ancestral.%)
	$(BIN)/lint-imports

bench: .venv ## Run every benchmark; each prints a table
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

clean: ## Remove the environment, what the tools cached, and the demo's output
	rm -rf .venv .mypy_root .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build dist *.egg-info demo

.venv: .venv/stamp ## Make the environment, with the versions of constraints.txt

# setuptools comes first and the build is not isolated, so that it too is the pinned one.
.venv/stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Ancestral needs Python 3.11 or newer; say which one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

# There is no ancestral/ folder for mypy to find, so it is shown one made of links.
.mypy_root:
	mkdir -p $@/ancestral
	for package in $(PACKAGES); do ln -s ../../$$package $@/ancestral/$$package; done
