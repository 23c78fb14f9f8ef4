# Kravport. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
ARGS ?=
INSTALLED := $(VENV)/.installed

.PHONY: help demo run test check format fuzz bench bench-exports bench-payments docs screenshots lock migration clean

help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Kravport needs Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "no venv module: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)  ## One whole evening with sandbox agencies, then the panel; ARGS="--once --json" ends after it
	@$(BIN)/kravport demo $(ARGS)

run: $(INSTALLED)  ## Start the real thing on this machine (SQLite and an embedded queue server in ./var)
	@$(BIN)/kravport run

test: $(INSTALLED) browser  ## All tests; ARGS="-k name" narrows
	@$(BIN)/pytest $(ARGS)

check: $(INSTALLED)  ## Style, types, import rules, syntax-tree rules, current documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_house/test_source_rules.py tests/test_house/test_documents.py

format: $(INSTALLED)  ## Let ruff format and mend what it safely can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(INSTALLED)  ## Damage files for every payment reader until something breaks; ARGS="--minutes 10 --format camt"
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(INSTALLED)  ## The evening run, the payments import and every outgoing format beside peers and limits; ARGS="--no-peers" installs nothing
	@$(BIN)/python -m bench.evening $(ARGS)
	@$(BIN)/python -m bench.exports $(filter --no-peers,$(ARGS))

bench-exports: $(INSTALLED)  ## Outgoing formats beside limits and peers; ARGS="--sizes 1000 --formats factonor" narrows
	@$(BIN)/python -m bench.exports $(ARGS)

bench-payments: $(INSTALLED)  ## Payment file readers beside limits and peers; ARGS="--sizes 1000" narrows
	@$(BIN)/python -m bench.payments $(ARGS)

docs: $(INSTALLED)  ## Print the generated documents anew
	$(BIN)/python -m tools.documents

screenshots: $(INSTALLED) browser  ## Pictures of every panel page at 1280 and 390 px, into ./screenshots
	@$(BIN)/python -m tools.screenshots $(ARGS)

lock:  ## Resolve requirements/*.in anew, with hashes and without download addresses
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && $(PYTHON) -m venv "$$tool" && "$$tool"/bin/pip install --quiet uv && \
	cd requirements && for name in runtime dev; do \
		"$$tool"/bin/uv pip compile $$name.in -o $$name.txt --quiet --generate-hashes --no-emit-index-url --no-annotate \
			--universal --python-version 3.11; done

migration: $(INSTALLED)  ## Draft the next migration: make migration NUMBER=0002 MESSAGE="why"
	@$(BIN)/python -m tools.migration "$(NUMBER)" "$(MESSAGE)"

clean:  ## Remove what was built and the demo's data; ./var itself stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench-cache screenshots var/demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the panel's tests" >&2; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "no browser: install Chromium ('apt-get install chromium') to run the panel's tests" >&2; \
		test -z "$$CI"; fi
