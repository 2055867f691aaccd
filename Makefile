# `make` alone lists what there is. Every target sets up what it needs by itself; a second run finds it done.
.DEFAULT_GOAL := help
DEST ?= sqlite
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)
BIN := .venv/bin

.PHONY: help setup-demo setup setup-slow demo serve test test-dagster test-slow test-truth test-faults wheel certify lint check bench soak screenshots pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-demo ## sync real flight data as a Dagster job, check it row by row (DEST=postgresql, DEST=duckdb: into those)
	@$(BIN)/pipekit demo --dest $(DEST)

serve: setup-demo ## the demo's schedules, runs and lineage in the browser (after make demo)
	@$(BIN)/pipekit demo --serve

test: setup ## run the tests, on real servers that the tests start (ARGS='-k merge' passes options to pytest)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: setup-slow ## run what make test leaves out: deploy.sh, a host that vanishes, schedules by the clock (half an hour)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --slow -m slow $(ARGS)

test-truth: setup ## move public and hostile data between all pairs of seven databases, compare row by row (an hour or more)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --all-pairs tests/truth_sets $(ARGS)

test-faults: setup ## break runs at every checkpoint, in every way, and judge what is left; writes docs/reference/faults.md (an hour or more)
	@rm -f .faults.jsonl
	@PIPEKIT_FAULTS_REPORT=$(CURDIR)/.faults.jsonl $(BIN)/python -m pytest -n $(JOBS) --all-faults tests/faults $(ARGS); status=$$?; \
		$(BIN)/python -m tests.faults.report .faults.jsonl > docs/reference/faults.md; exit $$status

test-dagster: setup ## the tests of Dagster that need no server, with the oldest minor version that is supported, in .venv-dagster
	@test -d .venv-dagster || python3 -m venv .venv-dagster
	@grep -vi '^dagster' constraints.txt > .venv-dagster/constraints.txt
	@.venv-dagster/bin/pip install -q -c .venv-dagster/constraints.txt -e '.[hosts]' 'dagster==1.12.*' pytest pytest-timeout pytest-xdist hypothesis pexpect
	@.venv-dagster/bin/python -m pytest -q $(addprefix tests/dagster/test_,$(addsuffix .py,build internals assets asset_checks decorator \
		public ticks surface jobs executor switches partitions retention pools watching scheduler)) $(ARGS)

wheel: setup-demo ## a wheel for machines without a JDK, with jrunner's jar and the drivers of four databases, in dist/
	@$(BIN)/python scripts/wheel.py

certify: setup ## let a database prove itself (URL=jdbc:... SCHEMA=scratch LOGIN=me; PIPEKIT_CERTIFY_PASSWORD in the environment)
	@$(BIN)/python scripts/certify.py "$(URL)" --schema "$(SCHEMA)" $(if $(LOGIN),--login "$(LOGIN)") $(if $(KIND),--kind "$(KIND)")

lint: setup ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check: setup ## ruff, formatting, mypy --strict and the import contract
	@status=0; \
	for check in "ruff check" "ruff format --check" mypy lint-imports; do \
		echo "== $$check"; $(BIN)/$$check || status=1; \
	done; exit $$status

bench: setup ## measure jrunner against other tools; tables go to bench/results
	@$(BIN)/python -m bench $(ARGS)

soak: setup ## thousands of runs, one after another: what grows (ARGS='--engine 200 --served 20' for a few)
	@$(BIN)/python bench/soak.py $(ARGS)

screenshots: setup ## make the pictures of README and docs anew; a walk through all pages leaves one of each in docs/images/pages
	@$(BIN)/python docs/build_pictures.py
	@mkdir -p docs/images/pages
	@PIPEKIT_SCREENSHOTS=$(CURDIR)/docs/images/pages $(BIN)/python -m pytest -q --slow tests/web/test_walk.py $(ARGS)

pins: setup ## resolve constraints.txt anew (PYTHONS='python3.10 python3.13' names the Pythons to resolve for)
	@$(BIN)/python scripts/pin.py $(PYTHONS)

clean: ## remove what the targets made: .venv, .demo, caches
	if [ -L .demo/postgresql ]; then rm -rf "$$(readlink .demo/postgresql)"; fi
	rm -rf .venv .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache pipekit_engine/_jrunner
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@scripts/setup.sh test

setup-slow:
	@scripts/setup.sh test --slow

setup-demo:
	@scripts/setup.sh demo --dest $(DEST)
