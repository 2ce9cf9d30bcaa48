PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ENVIRONMENT = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fhiradapter needs Python 3.11 or newer: make PYTHON=python3.12 ...")' \
	&& { test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); }
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What is about engines themselves has its own.
ON_SPARK = tests/spec --engine spark --ignore tests/spec/test_parts.py --ignore tests/spec/test_study_in_parts.py

.PHONY: demo test soak check bench bench-quick docs lock clean

demo: $(VENV)/.run                  ## six synthetic subjects: FHIR in, report out
	$(BIN)/fhiradapter run examples/als_treg/study.toml --out build/als_treg

test: $(VENV)/.dev                  ## the whole suite, then the claims about numbers once more on Spark
	$(BIN)/python -m pytest -n auto
	$(BIN)/python -m pytest -n auto $(ON_SPARK)

soak: $(VENV)/.dev                  ## an hour: 200 x 20,000 live writes, 1,000 kills, Delta Lake
	$(BIN)/python -m tests.soak

check: $(VENV)/.dev                 ## style, types, architecture, definitions, generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/fhiradapter check --definitions
	$(BIN)/python docs/generate.py --check

bench: $(VENV)/.dev                 ## speed and memory, as ratios measured within one run
	$(BIN)/python -m tests.benchmarks

bench-quick: $(VENV)/.dev           ## the same without what is large; only build/benchmarks.json
	$(BIN)/python -m tests.benchmarks --quick

docs: $(VENV)/.dev                  ## write the pages that come from the code
	$(BIN)/python docs/generate.py

lock: $(VENV)/.dev                  ## new versions into requirements/*.txt, with hashes
	$(INSTALL) uv
	$(BIN)/uv pip compile --quiet pyproject.toml requirements/build.in --group dev --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --upgrade -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet pyproject.toml requirements/build.in -c requirements/dev.txt --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --upgrade -o requirements/run.txt

clean:                              ## environment and everything built
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.run: requirements/run.txt pyproject.toml
	$(ENVIRONMENT)
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(ENVIRONMENT)
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run
