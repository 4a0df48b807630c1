# The project's commands. Each does its own set-up: a virtual environment in .venv with the pins of constraints.txt.
#   make demo            data, model, catalogue, service on 127.0.0.1:8000, answers; then serves until Ctrl-C
#   make demo SERVE=no   the same, and ends after the answers; PORT=8001 for another port
#   make test            ruff, mypy and every test
#   make soak            ten minutes of twice the load that the service can take, with hostile clients beside
#   make fuzz            20,000 broken files and bodies to a service; FUZZ=100000 for more, SEED=2 for others
# Options: PYTHON=… (3.11 or 3.12); TORCH_INDEX=… (another index for torch's wheels, see README.md)

SUPPORTED := 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c $(SUPPORTED) 2>/dev/null && echo $$p && break; done)
PIP := .venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: setup demo test lint format bench fuzz soak lock

setup: .venv/.run

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or 3.12 with venv found; say which with PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/pip pyproject.toml constraints.txt
	@echo "installing into .venv (a few GB, mostly torch)"
	$(PIP) -e '.[training,service]'
	@touch $@

.venv/.test: .venv/.run
	$(PIP) -e '.[test]'
	@touch $@

demo: .venv/.run
	.venv/bin/bma demo $(if $(filter no,$(SERVE)),--no-serve) $(if $(PORT),--port $(PORT))

test: lint
	.venv/bin/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: .venv/.test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.test
	for file in $(filter-out benchmarks/soak.py,$(wildcard benchmarks/*.py)); do .venv/bin/python -m benchmarks.$$(basename $$file .py) || exit 1; done

fuzz: .venv/.test
	FUZZ=$(or $(FUZZ),20000) FUZZ_SEED=$(or $(SEED),1) FUZZ_FIRST=$(or $(FIRST),0) \
		.venv/bin/python -m pytest tests/service/test_fuzz.py

soak: .venv/.test
	.venv/bin/python -m benchmarks.soak

# Resolves pyproject.toml anew, for Python 3.11 and 3.12 on every platform.
lock: .venv/.test
	$(PIP) uv
	.venv/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-emit-index-url --no-header --no-annotate --upgrade --output-file constraints.txt
