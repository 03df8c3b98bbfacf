# Two commands for a fresh machine: `make run` trains a federated MoE, `make test` runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= digits

# Without files of compiled Python, every process that a test starts would compile ours again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint docs evidence pages setup clean

run: setup
	$(BIN)/fedtrain run --set name=$(RUN) --overwrite

test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder -m kernels tests/alignsolve --cov --cov-append --cov-report=
	$(BIN)/python -m coverage report --include='alignsolve/*' --fail-under=95

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m sphinx -q -W --keep-going -n docs build/docs

evidence: setup
	$(BIN)/python -m benchmarks.evidence --workers 2

pages: setup
	$(BIN)/python -m benchmarks.report

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade 'pip>=26,<26.2'  # older ones choose versions three times as long
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
