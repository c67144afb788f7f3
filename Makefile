# Everything runs in .venv, made from the lock; the machine needs Python 3.11 and make.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test check bench chaos simulate lock

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: setup
	$(BIN)/towpath demo $(if $(ONCE),--once)

test: setup
	$(BIN)/python -m compileall -q towpath producers processors sinks schemas
	$(BIN)/towpath kafka warm
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/packaging/test_lock.py

bench: setup
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

chaos: setup
	broken=0; \
	$(BIN)/towpath chaos --json --events $(or $(EVENTS),5000) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) || broken=1; \
	$(BIN)/towpath chaos --json --controls $(if $(SEED),--seed $(SEED)) || broken=1; \
	exit $$broken

simulate: setup
	$(BIN)/python -m towpath.simulation --seeds $(or $(SEEDS),10000) --json

lock:
	$(BIN)/pip-compile --quiet --upgrade --extra dev --generate-hashes --allow-unsafe --strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements.lock pyproject.toml
