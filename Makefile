# cloudseg: `make help` lists the targets.
STATE ?= .cloudseg
PY = $(STATE)/venv/bin/python -W ignore
LOCAL = $(PY) -m cloudseg_local
PHOTOGRAPHS = $(if $(IMAGES),--images "$(IMAGES)") $(if $(COUNT),--count "$(COUNT)") \
	$(if $(REVISION),--revision "$(REVISION)")
PODS = $(if $(RUNTIME),--runtime "$(RUNTIME)") $(if $(IMAGE),--image "$(IMAGE)") \
	$(if $(NAMESPACE),--namespace "$(NAMESPACE)")
PORTS = --state "$(STATE)" $(if $(UI_PORT),--ui-port "$(UI_PORT)") $(if $(GCS_PORT),--gcs-port "$(GCS_PORT)")
PATIENCE = $(if $(TAKE_OVER),--take-over) $(if $(DRAIN_SECONDS),--drain-seconds "$(DRAIN_SECONDS)")
DELIVERY = $(STATE)/venv/bin/python -m cloudseg_delivery
# One more than CPUs, because a worker whose tests wait for Airflow leaves its CPU idle.
PYTEST = $(PY) -m pytest --numprocesses=$(shell $(STATE)/venv/bin/python -c "import os; print(min(len(os.sched_getaffinity(0)), 4) + 1)" 2>/dev/null || echo 3)
export STATE PYTHON

.PHONY: help demo up down audit progress bench setup docs test test-fast faults fuzz lint format lock requirements image deploy rollback deployed clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# RUNTIME=kubernetes: run chunks as pods on the cluster of KUBECONFIG. Also IMAGE=cloudseg-inference:dev NAMESPACE=cloudseg
demo: ## Run cloudseg once on this machine: IMAGES=folder COUNT=n REVISION=v1 RUNTIME=kubernetes
	@scripts/bootstrap.sh demo
	@$(LOCAL) demo $(PORTS) $(PHOTOGRAPHS) $(PODS)

up: ## The same, but keep Airflow's UI and the emulator running: UI_PORT=8080 GCS_PORT=4443
	@scripts/bootstrap.sh demo
	@$(LOCAL) up $(PORTS) $(PHOTOGRAPHS) $(PODS)

down: ## Stop what `make up` left running
	@scripts/bootstrap.sh demo
	@$(LOCAL) down $(PORTS)

audit: ## Account for every input of a local run: RUN=run_id (default: the newest)
	@scripts/bootstrap.sh demo
	@$(LOCAL) audit --state "$(STATE)" $(if $(RUN),--run "$(RUN)")

progress: ## Show the progress of a local run: RUN=run_id (default: the newest) WATCH=1
	@scripts/bootstrap.sh demo
	@$(LOCAL) progress --state "$(STATE)" $(if $(RUN),--run "$(RUN)") $(if $(WATCH),--watch)

bench: ## Compare the engine with the machine's limit, a plain loop, Beam and Ray: BENCH="--rows all --json bench.json"
	@scripts/bootstrap.sh demo
	@scripts/bench-venv.sh
	@$(PY) -m benchmarks --state "$(STATE)" $(BENCH)

setup: ## Install the tools and test dependencies, and the git hooks
	@scripts/bootstrap.sh test
	@$(STATE)/venv/bin/pre-commit install --install-hooks >/dev/null
	@echo "ready: make test-fast, make lint; CONTRIBUTING.md says where things are"

test: ## Run all tests, including whole runs under a real Airflow
	@scripts/bootstrap.sh test
	@$(PYTEST)

test-fast: ## Run the tests that do not start Airflow and take at most a second or so each
	@scripts/bootstrap.sh test
	@$(PYTEST) -m "not slow"

fuzz: ## Fuzz the decoders and the formats of the buckets' files: SECONDS=3600 TARGETS="decode gallery" ATHERIS=1
	@scripts/bootstrap.sh test
	@$(PY) -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(TARGETS),--targets $(TARGETS)) $(if $(ATHERIS),--atheris)

faults: ## Inject faults, kills and races for a while, and account for every upload: SECONDS=600 SEED=1 RATE=0.1 JOBS=4 ENDPOINT=url
	@scripts/bootstrap.sh test
	@$(PY) -m tests.faults $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(RATE),--rate $(RATE)) $(if $(JOBS),--jobs $(JOBS)) $(if $(ENDPOINT),--endpoint $(ENDPOINT))

lint: ## Check style, format, types, import layers, spelling, wording and workflows
	@scripts/bootstrap.sh test
	@$(STATE)/venv/bin/ruff check .
	@$(STATE)/venv/bin/ruff format --check .
	@$(STATE)/venv/bin/mypy
	@$(STATE)/venv/bin/lint-imports
	@$(STATE)/venv/bin/codespell
	@$(STATE)/venv/bin/python scripts/check-words.py
	@PYTHON=$(STATE)/venv/bin/python scripts/check-workflows.sh

format: ## Fix style and format
	@scripts/bootstrap.sh test
	@$(STATE)/venv/bin/ruff check --fix .
	@$(STATE)/venv/bin/ruff format .

# Without --quiet, under which MkDocs counts no warnings.
docs: ## Build the documentation in build/docs, with warnings as errors: SERVE=1 serves it while you write
	@scripts/docs-venv.sh
	@NO_MKDOCS_2_WARNING=1 $(STATE)/docs-venv/bin/mkdocs $(if $(SERVE),serve,build) --strict

lock: ## Rewrite requirements/*.lock
	@scripts/bootstrap.sh test
	@PYTHON=$(STATE)/venv/bin/python scripts/lock.sh

requirements: ## Check that requirements.txt resolves with the packages of each Composer build
	@scripts/bootstrap.sh test
	@PYTHON=$(STATE)/venv/bin/python scripts/check-requirements.sh

image: ## Build the inference engine's image with Docker: VARIANT=cpu or cuda; scripts/image.sh has more options
	@scripts/image.sh

# DRY_RUN=1: only report the changes. VERIFIED=1: lint and tests have passed. TAKE_OVER=1: an earlier delivery died.
# DOWNGRADE=1: the deployed commit is not an ancestor. DRAIN_SECONDS=3600: how long to wait for an active run
deploy: ## Deploy this commit to a Composer environment and test it there: ENVIRONMENT=staging DRY_RUN=1
	@scripts/bootstrap.sh test
	@$(DELIVERY) deploy "$(ENVIRONMENT)" $(if $(DRY_RUN),--dry-run) $(if $(VERIFIED),--verified) \
		$(if $(DOWNGRADE),--downgrade) $(PATIENCE)

rollback: ## Restore an earlier good release: ENVIRONMENT=staging RELEASE=name (default: the previous one) NOW=1
	@scripts/bootstrap.sh test
	@$(DELIVERY) rollback "$(ENVIRONMENT)" $(if $(RELEASE),--release "$(RELEASE)") $(if $(NOW),--now) $(PATIENCE)

deployed: ## Print the release of a Composer environment: ENVIRONMENT=staging
	@scripts/bootstrap.sh test
	@$(DELIVERY) status "$(ENVIRONMENT)"

clean: ## Stop everything and remove all state, including the virtual environment
	@if [ -x "$(STATE)/venv/bin/python" ] && [ -d "$(STATE)/logs" ]; then $(LOCAL) down $(PORTS) || true; fi
	@rm -rf "$(STATE)"
