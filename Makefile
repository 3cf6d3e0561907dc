# Everything a person or CI calls. `make install` is quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)/.mlops/dagster
export MLOPS_HOME ?= $(CURDIR)/.mlops

.PHONY: install demo demo-live demo-scale dev test test-fast check docs bench soak lock clean
.DEFAULT_GOAL := demo

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || { \
	  echo "mlops_dagster needs Python 3.11 or 3.12; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name one like this: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the locked dependencies (about two minutes the first time) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install
	$(BIN)/python examples/flights/rehearse_flights.py

# Six weeks of the demo twice: on files, and on PostgreSQL and S3 with two data planes. The same decisions, and what each costs.
demo-scale: install
	PYTHONPATH=$(CURDIR) $(BIN)/python examples/flights/rehearse_at_scale.py

# A whole rollout in real time, about six minutes, to be watched in the control room; ARGS=--keep leaves that up.
demo-live: install
	$(BIN)/python examples/digits/live.py $(ARGS)

dev: install
	$(BIN)/mlops dev

# Threads of estimators would spin. Where memory has room for files, no test waits for a disk.
test test-fast: export OMP_NUM_THREADS = 1
test test-fast: export TMPDIR := $(shell \
  { [ -w /dev/shm ] && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 8e6 {print "/dev/shm"; found = 1} END {exit !found}'; } \
  || echo $${TMPDIR:-/tmp})

test: install promtool alertmanager chromium haproxy bytecode
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder  # a third waits; the longest files are first

# What needs no server, no other process, no Dagster and no second (CONTRIBUTING.md).
test-fast: install bytecode
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder --fast tests

# Where PYTHONDONTWRITEBYTECODE is set, as in containers, each of some hundred processes would compile all again.
.PHONY: bytecode
bytecode: install
	@$(BIN)/python -m compileall -q mlops_dagster tests/support examples bench
	@$(BIN)/python -m tests.support.rewritten

# Of Debian, what tests need and no wheel has: a page without a font has no width.
PACKAGES_promtool := prometheus
PACKAGES_alertmanager := prometheus-alertmanager
PACKAGES_chromium := chromium fonts-liberation
PACKAGES_haproxy := haproxy
PACKAGES_wrk := wrk
.PHONY: promtool alertmanager chromium haproxy wrk
promtool alertmanager chromium haproxy wrk:
	@PATH="$$PATH:/usr/sbin" command -v $(patsubst alertmanager,prometheus-alertmanager,$@) >/dev/null || { \
	  echo "Installing $@ ..."; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || command -v sudo); \
	  $$SUDO apt-get update -qq && \
	  $$SUDO apt-get install -y -qq --no-install-recommends $(PACKAGES_$@) >/dev/null; }

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m checks.language
	$(BIN)/python -m checks.private_names
	$(BIN)/python -m checks.task_words
	$(MAKE) --no-print-directory docs

# The site, in build/docs; its references are generated from the code, and a broken link fails the build.
docs: install
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -b html docs build/docs

# What the flights example's rollout policy can prove on its traffic (docs/benchmarks/power.md), rollouts looked at any time
# (docs/benchmarks/at-any-time.md), and days whose rows share a cause (docs/benchmarks/shared-days.md); the registry beside MLflow, a 5 GB
# artifact on S3; the data plane beside MLServer, over the bare model, its reactions, its rollups and its shipper; drift
# beside Evidently, of a fleet, of a hundred million rows, a day of ten million labelled rows, and an hourly run from launch to
# materialized; a thousand models: the control room, their definitions, their hourly run, and a canary that goes bad; the
# size of an installation.
bench: export PYTHONPATH := $(CURDIR)/examples/flights
bench: install wrk
	$(BIN)/python bench/rollout_power.py
	$(BIN)/python bench/shared_days.py
	$(BIN)/python -m bench.at_any_time
	$(BIN)/python bench/concept_days.py
	$(BIN)/python bench/collapse_days.py
	$(BIN)/python bench/registry_speed.py
	$(BIN)/python bench/artifact_memory.py 5000
	$(BIN)/python bench/serving_speed.py
	$(BIN)/python bench/serving_overhead.py
	$(BIN)/python bench/reaction_speed.py
	$(BIN)/python bench/rollup_speed.py
	$(BIN)/python bench/shipping_speed.py
	$(BIN)/python bench/drift_speed.py
	$(BIN)/python bench/fleet_drift.py
	$(BIN)/python bench/board_snapshot.py
	$(BIN)/python bench/recount_speed.py --rows 100000000
	$(BIN)/python -m bench.engine_speed --rows 10000000
	$(BIN)/python bench/hourly_run.py
	$(BIN)/python bench/definitions_load.py
	$(BIN)/python bench/fleet_hour.py --models 1000
	$(BIN)/python bench/fleet_hour.py --models 100 --hours 24
	$(BIN)/python bench/fleet_reaction.py --models 1000
	$(BIN)/python bench/thousand_classes.py
	$(BIN)/python -m bench.slim_install

# Every attack of soak/ for an hour in all: broken files and settings, kill -9 under traffic, and what else is there;
# a table of what was tried, how often, and the faults. ARGS="--only kills --minutes 5" for one of them.
soak: install
	$(BIN)/python -m soak $(ARGS)

# Needs uv; --no-emit-index-url keeps addresses out of the file.
lock:
	uv pip compile pyproject.toml --extra example --extra dev --extra dagster-aws --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --no-header --quiet --upgrade -o requirements.lock

clean:
	rm -rf .mlops $(VENV)
