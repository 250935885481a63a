# One word a task; `make help` lists them. Everything is installed into .venv and nowhere else.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The first Python on the path that is new enough; `make PYTHON=/some/python3 ...` chooses another.
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo "$$name"; break; fi; done)

# The chart's own tool. No package registry has it as a program, so it is built.
HELM := .cache/bin/helm
HELM_SOURCE := helm.sh/helm/v3/cmd/helm@v3.22.0

# Live suites of the proxy and the indexer that were seen to run on OpenSearch 2.19.1 too.
ON_2_19 := -m "live and opensearch_2_19" --opensearch=2.19.1
# What runs on the oldest runs on this one too.
ON_3_5 := -m "live and opensearch_2_19" --opensearch=3.5.0

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test test-all test-native chaos check arm64 chart docs bench million fuzz load serve lint clean

help: ## list the tasks
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(VENV)/.setup ## install Twinrank and its tools into .venv
demo: $(VENV)/.serving ## index real text, search it both ways, leave it running
	$(BIN)/twinrank demo

demo-stop: $(VENV)/.serving ## stop what the demo left running
	$(BIN)/twinrank demo --stop

serve: $(VENV)/.serving ## the proxy, in front of the local OpenSearch
	$(BIN)/twinrank serve

test: $(VENV)/.everything ## all tests, on a real OpenSearch
	@$(BIN)/python -m pytest

test-all: $(HELM) check ## check, and all tests with every long suite whole
	@$(BIN)/python -m pytest --long
	@$(BIN)/python -m pytest $(ON_3_5)
	@$(BIN)/python -m pytest $(ON_2_19)

test-native: $(VENV)/.everything ## OpenSearch 2.19.1: native pipelines, security, proxy, indexer
	@$(BIN)/python -m pytest tests/native tests/opensearch/native/test_templates.py tests/secured --long
	@$(BIN)/python -m pytest $(ON_2_19)

chaos: $(VENV)/.everything ## 20,000 searches and 5,000 writes while everything around them fails
	@$(BIN)/python -m pytest tests/chaos --long -s

check: $(VENV)/.everything ## lint, format, types, documentation, spelling, workflows, Dockerfile, chart, secrets, dependencies; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/codespell
	$(BIN)/zizmor --offline --quiet --strict-collection .github
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile; else echo "WARNING: Dockerfile was NOT linted: no hadolint here." >&2; fi
	$(BIN)/python -m tests.support.chart check
	@.ci/secrets
	@.ci/audit

chart: $(VENV)/.setup $(HELM) ## build helm once (minutes), and write the outputs of the Helm chart
	$(BIN)/python -m tests.support.chart write

docs: $(VENV)/.setup ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.setup ## let ruff repair and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.setup ## measure against the budgets
	$(BIN)/python -m tests.benchmarks

DOCUMENTS ?= 1000000
million: $(VENV)/.setup ## searches and commands on DOCUMENTS documents, on one node and on three; an hour
	$(BIN)/python -m tests.benchmarks.million --documents $(DOCUMENTS)

arm64: $(VENV)/.setup ## replay all bundles on an emulated arm64 processor; needs apt's tools, takes minutes
	@.ci/arm64

INPUTS ?= 100000
SECONDS ?= 20
fuzz: $(VENV)/.setup ## INPUTS inputs through all parsers, then SECONDS a target guided by coverage
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz --coverage $(SECONDS)

load: $(VENV)/.everything ## rising request rates, beside nginx and OpenSearch straight
	$(BIN)/python -m tests.load

clean: ## remove .venv and all caches; the local OpenSearch and its data stay
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Twinrank needs Python 3.11 or newer; none was found on the path" \
			"(python3 is: $$(python3 --version 2>&1 || true))." \
			"Install one, or name it: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Twinrank needs Python 3.11 or newer; $(PYTHON) is: $$("$(PYTHON)" --version 2>&1)." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) could not make a virtual environment. On Debian: apt install python3-venv" >&2; exit 1; }

$(HELM):
	@if command -v go >/dev/null; then echo "Building helm into $@; it takes minutes ..."; \
		GOBIN="$(CURDIR)/.cache/bin" CGO_ENABLED=0 go install -ldflags="-s -w" $(HELM_SOURCE); \
	else echo "WARNING: helm was NOT built: no Go here. https://go.dev/doc/install" >&2; fi

# What running, working on and training models need, each with all that stands before it. The stamps
# make a second run instant; they are as old as the last installation.
$(VENV)/.serving: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Twinrank into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[local]'
	@touch $@

$(VENV)/.setup: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Twinrank and its tools into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[local,evaluate,dev]'
	@touch $(VENV)/.serving $@

$(VENV)/.everything: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Twinrank, its tools and torch into $(VENV); the first time takes minutes ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[local,evaluate,export,dev]'
	@touch $(VENV)/.serving $(VENV)/.setup $@
