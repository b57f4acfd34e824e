PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install lint test bench generate clean

install: ## install on this machine and start a cluster
	sudo ./install.sh

$(BIN)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -e '.[test,lint]'
	for o in '' -OO; do PYTHONDONTWRITEBYTECODE= $(BIN)/python $$o -c "import minikube.cli, minikube.server"; done  # compiled once
	touch $@

lint: $(BIN)/.done ## ruff, mypy --strict, import-linter, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.generate --check

test: $(BIN)/.done ## everything: unit, contract, a real server with the real kubectl, real containers and packets
	tools/test-deps.sh
	$(BIN)/pytest --durations=8 -n 2 --reruns 1 -m "not node and not conformance" tests
	$(BIN)/pytest --durations=8 -n 4 --reruns 1 -m conformance tests/conformance  # what the upstream suite checks, on two real nodes
	$(BIN)/pytest --durations=8 -n 2 --dist loadfile --reruns 2 -m node tests  # machines of their own; a lost race shows as R

bench: $(BIN)/.done ## print figures
	$(BIN)/python -m bench

generate: $(BIN)/.done
	$(BIN)/python -m tools.generate

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache
