PYTHON      ?= python3
VENV        ?= .venv
CONSTRAINTS ?= constraints.txt
# On Windows, a virtual environment keeps its programs in another folder.
BIN         := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# make demo CAPTURE=folder relights a capture of your own by the command line.
CAPTURE ?=

.PHONY: demo daylight test coverage oldest proof lint bench docs clean

# torch is pinned by constraints.txt and installed on its own first, so that no other package's open range picks a
# CUDA build of several gigabytes.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) torch
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) -e '.[test]'
	touch $@

demo: $(VENV)/.installed
ifeq ($(CAPTURE),)
	$(BIN)/python examples/demo.py
else
	mkdir -p demo_output
	$(BIN)/sklrelight evaluate "$(CAPTURE)" -o demo_output/relighting.png --overwrite
	$(BIN)/sklrelight fit "$(CAPTURE)" -o demo_output/model.relight --overwrite
	$(BIN)/sklrelight page demo_output/model.relight -o demo_output/page.html --overwrite
endif

daylight: $(VENV)/.installed
	$(BIN)/python examples/daylight_year.py

# One thread a worker: threads of two workers that wait for each other on the same cores are many times slower.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations=10

coverage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov

# The tests with the oldest scikit-learn, skorch, numpy and SciPy that pyproject.toml states; torch stays as it is.
# PYTHON has to be 3.11 or 3.12, which that numpy has wheels for.
oldest: .venv-oldest/constraints.txt
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=$<

.venv-oldest/constraints.txt: pyproject.toml constraints.txt .ci/oldest.py
	mkdir -p .venv-oldest
	$(PYTHON) .ci/oldest.py > $@

proof: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow --durations=0

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# Hours; what is measured is kept, and the next run goes on from there. SKLRELIGHT_TEST_DATA names the folder of captures.
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/training_rate.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/size.py
	$(BIN)/python benchmarks/accuracy.py

# The pages of the gallery run: some minutes. Figures and links are of this build; nothing is fetched.
$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) -e '.[docs]'
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "the documentation: docs/_build/html/index.html"

clean:
	rm -rf docs/_build docs/gallery docs/generated docs/repository docs/sg_execution_times.rst
	rm -rf $(VENV) .venv-oldest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage
