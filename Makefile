# Every target sets up what it needs: a virtual environment with the locked versions, checked by hash.
# Needs make, git and Python 3.11 or newer with its venv module; nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= 2
TOOLS := .venv-tools
SEED ?= 1
SECONDS ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo demo-live demo-purge test test-external fuzz mutation audit sbom torture check format docs bench bench-large lock spark clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

# ---- setting up -----------------------------------------------------------------------------------------------

$(VENV)/.locked: requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/.locked: requirements/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/tools.txt
	@touch $@

# ---- using it -------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed  ## replay a rollout and explain why its deployment says "degraded"
	@$(BIN)/python -m analyzer demo

demo-live: $(VENV)/.installed  ## watch a stand-in deployment while a rollout is played to it
	@$(BIN)/python -m tests.deployment.rehearsal

demo-purge: $(VENV)/.installed  ## purge the demo's leftovers on a stand-in deployment, prove it, and put them back
	@$(BIN)/python -m tests.purge.demo

test: $(VENV)/.installed  ## run every test that needs nothing but this folder
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not external"

test-external: $(VENV)/.installed  ## run the tests that need a browser, npm or a JVM, and say what was left out
	@$(BIN)/python tests/run_external.py

fuzz: $(TOOLS)/.locked  ## feed hostile input to all that reads foreign bytes: SEED=1 SECONDS=10 (a target) or RUNS=20000
	@$(TOOLS)/bin/python -m tests.fuzz --seed $(SEED) --seconds $(SECONDS) --jobs $(JOBS) $(if $(RUNS),--runs $(RUNS))

mutation: $(TOOLS)/.locked  ## change guards, ledger and backup one operator at a time, and count what no test notices
	@$(TOOLS)/bin/python -m tests.mutation

audit: $(TOOLS)/.locked  ## ask for known weaknesses of the locked versions; fails when it cannot ask (AUDIT="-s osv")
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off $(AUDIT) $(foreach file,run dev tools,--requirement requirements/$(file).txt)

sbom: $(TOOLS)/.locked  ## write dist/sbom.cdx.json: what the locked versions at run time are made of (CycloneDX)
	@mkdir -p dist
	@$(TOOLS)/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file dist/sbom.cdx.json requirements/run.txt
	@echo dist/sbom.cdx.json

torture: $(VENV)/.installed  ## kill, starve and fault the tool at random; RUNS=500 SEED=1
	@$(BIN)/python -m tests.torture --runs $(or $(RUNS),500) --seed $(SEED) --jobs $(JOBS)

check: $(VENV)/.installed  ## format, lint, types, import contracts, docs drift; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/reference.py --check

format: $(VENV)/.installed  ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed  ## write docs/commands.md and docs/queries.md from the code
	$(BIN)/python docs/reference.py

bench: $(VENV)/.installed  ## measure speed against physical floors and other tools: make bench SIZE=10k|100k|1m
	@$(BIN)/python -m benchmarks

bench-large: $(VENV)/.installed  ## the same with 10 million messages; needs 20 GB of disk and 20 minutes
	@SIZE=10m $(BIN)/python -m benchmarks

.venv-spark/.locked: requirements/spark.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/spark.txt
	@touch $@

spark: .venv-spark/.locked  ## run every query on DuckDB and on Spark, and print whether the rows are the same
	@.venv-spark/bin/python -m tests.spark.compare

lock:  ## resolve pyproject.toml into requirements/*.txt; `make lock UPGRADE=--upgrade` takes newer versions
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	.venv-lock/bin/uv pip compile pyproject.toml $(LOCK) --output-file requirements/run.txt
	.venv-lock/bin/uv pip compile pyproject.toml --extra dev --constraint requirements/run.txt $(LOCK) --output-file requirements/dev.txt
	.venv-lock/bin/uv pip compile pyproject.toml --extra spark --constraint requirements/dev.txt $(LOCK) --output-file requirements/spark.txt
	.venv-lock/bin/uv pip compile pyproject.toml --extra tools --constraint requirements/dev.txt $(LOCK) --output-file requirements/tools.txt

LOCK = --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)

clean:  ## remove what the targets made, the environment included; data/*.duckdb stays
	rm -rf $(VENV) .venv-lock .venv-spark $(TOOLS) fuzz-crashes build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache mutants
