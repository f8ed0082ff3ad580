# The two commands of the README, and those of a contributor. Each makes its own environment in .venv.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch from there: a CPU build of 200 MB in place of CUDA's.

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
export HF_HUB_DISABLE_TELEMETRY = 1

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
           $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo test quick slow check mutants bench docs sbom clean

demo: $(BIN)/.models ## install, measure the four shipped models, say what came out and where the page is
	$(BIN)/todacomm run

test: $(BIN)/.test quick slow ## install and pass every test

quick: $(BIN)/.test ## the quick tests, one file a core
	$(BIN)/python -m pytest -q -m "not slow" -n auto --dist loadfile

slow: $(BIN)/.test ## real weights, whole studies, faults
	$(BIN)/python -m pytest -q -m slow

check: $(BIN)/.test ## format, lint, types, quick tests: what to run before each push
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(MAKE) quick

mutants: $(BIN)/.test ## plant small bugs one at a time, print those that no test notices; a quarter of an hour
	$(BIN)/python tests/mutants.py

bench: $(BIN)/.test ## print every table of benchmarks/ that needs no download, half an hour; each script says what else it can
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/zoo.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/claims.py --zoo
	$(BIN)/python benchmarks/distances.py
	$(BIN)/python benchmarks/extraction.py --zoo
	$(BIN)/python benchmarks/growth.py

docs: $(BIN)/.docs ## build the documentation site into site/, without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

sbom: $(BIN)/.models ## list what is installed, with versions, licences and digests, in dist/todacomm.cdx.json (CycloneDX)
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom
	mkdir -p dist
	build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/todacomm.cdx.json $(BIN)/python

clean:
	rm -rf $(VENV) build dist site

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/.models: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV): torch is the large part; this takes a few minutes the first time."
	$(INSTALL) -e '.[models]'
	@touch $@

$(BIN)/.test: $(BIN)/.models
	$(INSTALL) -e '.[dev]'
	@touch $@

$(BIN)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[docs]'
	@touch $@
