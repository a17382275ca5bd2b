# Two commands: `make sweep` and `make test`. Both make the environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Single fields of the main job, e.g. `make sweep SWEEP="--profile full"`.
SWEEP ?=
# Some of the benchmarks, e.g. `make bench BENCH="overhead intervals"`; all of them take two hours.
BENCH ?=

.PHONY: sweep test check extras bench clean

sweep: $(VENV)/.run
	$(BIN)/perftool sweep $(SWEEP)

test: $(VENV)/.dev
	$(BIN)/python -m pytest

# What tests of other model formats (TensorFlow, 1.5 GB, and ONNX), proposals (Optuna), Parquet and MLflow need; without it
# they skip and say so.
extras: $(VENV)/.extras

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks $(BENCH)

$(VENV)/.run: pyproject.toml requirements/run.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.lock
	touch $@

$(VENV)/.extras: $(VENV)/.dev requirements/extras.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/extras.lock
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
