# make demo   simulated market through every table, and what came of it
# make ui     Dagster's pages on 127.0.0.1:3000, with that history
# make test   the tests
# make bench  the table of speed goals, beside peers (VOLSURF_REAL_DATA: with a real session)
# make docs   the site of the documents, in site/
# PYTHON=python3.12 make demo   with another interpreter, 3.11 or later

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo ui test bench clean docs

demo: .venv/installed
	$(BIN)/volsurf demo

ui: .venv/installed
	$(BIN)/volsurf ui

test: .venv/installed-for-tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: .venv/installed-for-bench
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python benchmarks

docs: .venv/installed-for-tests
	$(BIN)/python -m mkdocs build --strict

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/installed-for-bench: .venv/installed-for-tests
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,peers]'
	touch $@

clean:
	rm -rf .venv
