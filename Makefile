# The same commands everywhere. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup lock check test simulate mutants fuzz fuzz-kafka chaos demo faults upkeep bench bench-smoke protocol clean

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && echo "$$python" && break; done)
UV := .tools/bin/uv
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE # else each of the many processes compiles all that it imports
INSTALLED := .venv/.installed
CODE := connectors ops processors schemas serving streams tests

help: ## list the commands
	@echo "Weft: every event ends in exactly one outcome, and anyone can prove it."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "First time here: make demo. After that: $(BIN)/weft --help"

setup: $(INSTALLED) ## install everything into .venv (once; again only when the lock has changed)

$(INSTALLED): requirements.lock pyproject.toml | $(UV)
	@echo "installing into .venv"
	@test -e "$@" && "$(BIN)/python" -c 'import sys' >/dev/null 2>&1 || $(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv
	@rm -f "$@" # killed from here on, it begins anew: a package that is half there passes for installed
	@$(UV) pip sync --quiet --python "$(BIN)/python" --require-hashes requirements.lock
	@$(UV) pip install --quiet --python "$(BIN)/python" --no-deps --editable .
	@$(BIN)/python -m ops.stack.fetch
	@touch "$@"

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or say where it is with make PYTHON=..."; exit 1; }
	@mkdir -p .tools/bin
	@if uv --version >/dev/null 2>&1; then ln -sf "$$(command -v uv)" $(UV); \
	else echo "installing uv into .tools" && "$(PYTHON)" -m venv --clear .tools/venv && \
	.tools/venv/bin/python -m pip install --quiet uv && ln -sf ../venv/bin/uv $(UV); fi # the link last: then it is whole

lock: $(UV) ## resolve the dependencies of pyproject.toml anew into requirements.lock
	@$(UV) pip compile pyproject.toml --quiet --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header -o requirements.lock
	@for peer in faust quix bytewax; do (cd ops/bench/peers && ../../../$(UV) pip compile $$peer.in --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o $$peer.lock); done # of the peers in the benchmark

check: setup ## lint, format, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports

test: check ## check, then every test: what CI runs
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

SECONDS_LONG ?= 60
FIRST ?= 0
simulate: setup ## seeded histories of whole workers in virtual time, for a minute; SEED=17 tells the story of one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seconds $(SECONDS_LONG) --first $(FIRST))

mutants: setup ## take one law of the lane out of the code at a time: the simulation must find each (about ten minutes)
	@$(BIN)/python -m tests.simulation --mutants $(MUTANT)

chaos: setup ## 100,000 real events under more than a hundred faults, and what became of every one (about a quarter of an hour; SEED=1 repeats a run)
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

faults: setup ## Redis and Ray Serve go and come back in mid-run, and a worker's memory, with the figures (about four minutes)
	@$(BIN)/python -m pytest -s -m "" tests/integration/test_faults.py

fuzz: setup .tools/atheris ## a million hostile records, spoilt files, poison; FUZZ="--seed 2 --records 100000" for others
	@$(BIN)/python -m tests.fuzz $(FUZZ)

fuzz-kafka: setup ## 100,000 hostile records, 400 of them up to 50 MB, on real Kafka; events that hang, kill or fill real workers
	@$(BIN)/python -m pytest -s -m "" tests/integration/test_fuzz_kafka.py tests/integration/test_deadly_events.py

.tools/atheris: | $(UV) # libFuzzer for Python: beside Weft, not with it
	@$(UV) pip install --quiet --only-binary :all: --target $@ --python $(BIN)/python atheris==3.0.0

demo: setup ## a year of real flights through the whole fabric, and the proof; DEMO="--limit 2000 --no-serve" for a short one
	@$(BIN)/weft demo $(DEMO)

upkeep: setup ## second start, upgrade, killed demos, read-only home, no network, other Pythons, odd paths: all tried in copies (half an hour)
	@$(BIN)/python -m pytest -s -m "" tests/integration/test_upkeep*.py

bench: setup ## Weft and others that do the same job, side by side, into docs/benchmarks.md (about half an hour); BENCH="--only loop,weft"
	@$(BIN)/weft bench race --out docs/benchmarks.md $(BENCH)

bench-smoke: setup ## the same with few events, once, nobody killed (two minutes): whether all of it works, no figures
	@$(BIN)/weft bench race --events 20000 --rounds 1 --no-kills $(BENCH)

protocol: setup ## generate the stubs of the Open Inference Protocol anew
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. serving/protocol/open_inference_grpc.proto

clean: ## end the local stack and delete what set-up and stack have made
	@test ! -x "$(BIN)/weft" || $(BIN)/weft down --wipe --yes
	@rm -rf .venv .tools
