# The commands of the project; each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# They wait for processes more than they reckon: three keep two cores busy.
WORKERS ?= 3

# Processes on a machine that others use too: a test may be tried once more, three in a run. The first failure is shown.
RETRY := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks

# Python keeps what it compiled, pytest's asserts with it: to compile them in every process takes longer than to run them.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv demo test fast lint types imports claims promises laws processes servers paused deaths shared bench lock proto clean

help:  ## these lines
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / — /'

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "registry-bridge needs Python 3.11 or newer; name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

venv: $(VENV)/ready  ## the virtual environment with everything pinned

demo: venv  ## the bridge, a real Envoy and six sample servers; ONCE=1 checks by itself
	@$(BIN)/python -m deploy.demo $(if $(ONCE),--once)

test: venv fast  ## every test, with real servers
	@$(MAKE) --no-print-directory laws processes

fast: venv  ## lint, types, import contracts, pure tests: seconds
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target claims lint types imports promises

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

imports: venv
	$(BIN)/lint-imports --no-cache

claims: venv
	$(BIN)/python -m pytest -n 2 --dist worksteal -q tests/claims

laws: venv  ## what holds whatever happens: pure too, with many examples, long stories and planted faults
	$(BIN)/python -m pytest -n 2 --dist worksteal -q tests/laws

processes: venv  ## the tests with processes, files, sockets, a real Envoy and real registries
	@$(BIN)/python -m tests.servers || true  # what it lacks is said again by the tests that need it
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(RETRY) tests --ignore=tests/claims --ignore=tests/laws --ignore=tests/bench

fuzz: venv  ## every parser with garbage, for MINUTES=10
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),10)

promises: venv  ## the rules that are due, and the tests that show them
	@$(BIN)/python -m tests.promises

servers: venv  ## the servers and tools of the tests, made once (Go 1.26, a JDK of 17, Maven)
	@$(BIN)/python -m tests.servers

paused: venv  ## a leader that is paused past its lease and resumed, RUNS=100 times in each registry
	@RUNS=$(or $(RUNS),100) $(BIN)/python -m pytest -q -s tests/servers/zookeeper/test_paused.py tests/servers/consul/test_paused.py tests/servers/test_kubernetes_paused.py

deaths: venv  ## a writer that is killed at any moment, RUNS=1000 times in each registry
	@RUNS=$(or $(RUNS),1000) $(BIN)/python -m pytest -q -s tests/servers/zookeeper/test_dies.py tests/servers/consul/test_dies.py tests/servers/test_kubernetes_dies.py

shared: venv  ## two bridges with a cluster each on one Consul, STEPS=10000 random steps
	@STEPS=$(or $(STEPS),10000) SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/servers/consul/test_shared.py

bench: venv  ## the figures of the README, with peers
	$(BIN)/python -m tests.bench

lock:  ## pin the ranges of pyproject.toml anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements.lock

proto: venv  ## generate the code of protos/
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=bridge/runtime --pyi_out=bridge/runtime protos/snapshot.proto

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache
