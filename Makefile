# The targets a person calls. `make` alone lists them.
SHELL := /bin/sh
VENV ?= .venv
# What `make bench` holds the platform against.
BENCH_VENV ?= .venv-bench
PORT ?= 8000
# The data of `make run`; `make manage` works on the same.
DATA ?= var
# The newest Python that this project runs on, among those that are here.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run manage test faults fuzz lint types schema messages editor check-editor lock bench bench-admin lint-docker try-docker up down clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/base.stamp ## Run the whole platform here, on SQLite, with a local mailbox. PORT=8000.
	@exec $(BIN)/python -m notification_platform.embedded --port $(PORT) --data $(DATA)

manage: $(VENV)/base.stamp ## Call a command on the data of `make run`: make manage CMD="list_api_keys".
	@ENV_FILE=$(DATA)/embedded.env $(BIN)/python manage.py $(CMD)

test: $(VENV)/dev.stamp ## Run all tests, on SQLite and on PostgreSQL. ARGS="-k word" is passed to pytest.
	@$(BIN)/python -m tests.run_suite $(ARGS)

faults: $(VENV)/dev.stamp ## Kill, cut and restart everything under load: half an hour. SOAK_MINUTES=10 SOAK_SEED=7.
	@$(BIN)/python -m pytest tests/faults -m "" -q -n 2 --dist loadfile $(ARGS)

fuzz: $(VENV)/dev.stamp ## Ask the running API all that its document allows, and more. EXAMPLES=5000 an operation.
	@$(BIN)/python -m tests.api.fuzz --examples $(or $(EXAMPLES),200) $(ARGS)

lint: $(VENV)/dev.stamp ## Check style, security and the layers.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(VENV)/dev.stamp ## Check the types.
	@$(BIN)/python -c "import tests.environment, sys, runpy; sys.argv = ['mypy', '.']; runpy.run_module('mypy', run_name='__main__')"

schema: $(VENV)/dev.stamp ## Write the OpenAPI document to docs/openapi.yaml.
	@$(BIN)/python -c "import tests.environment, sys; sys.argv = ['manage.py', 'spectacular', '--file', 'docs/openapi.yaml', '--validate']; import runpy; runpy.run_path('manage.py', run_name='__main__')"

messages: $(VENV)/dev.stamp ## Bring locale/ up to date and list what is not translated (needs gettext).
	@$(BIN)/python -m tests.extract_messages $(ARGS)

editor: templates_app/editor/node_modules ## Build the bundle of the template editor (needs node).
	@cd templates_app/editor && npm run --silent build

check-editor: templates_app/editor/node_modules ## Check that the committed bundle is what the build makes (needs node).
	@cd templates_app/editor && npm run --silent build -- --check

templates_app/editor/node_modules: templates_app/editor/package-lock.json
	@cd templates_app/editor && npm ci --silent && touch node_modules

bench: $(VENV)/dev.stamp ## Measure speed, latency and memory. ARGS="--quick --slow" is passed on.
	@$(MAKE) --no-print-directory $(BENCH_VENV)/bench.stamp || echo "Going on without peers."
	@BENCH_PYTHON="$(abspath $(BENCH_VENV))/bin/python" $(BIN)/python -m bench $(ARGS)

bench-admin: $(VENV)/dev.stamp ## Time every page of the admin over generated messages. ROWS=1000000.
	@$(BIN)/python -m bench --admin --admin-rows $(or $(ROWS),1000000) $(ARGS)

lock: $(VENV)/dev.stamp ## Compile requirements/*.in to hashed *.txt (needs uv).
	@cd requirements && for name in base s3 dev bench; do \
	  uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	    --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; done

lint-docker: $(VENV)/dev.stamp ## Check the image and the compose file (needs node).
	@PATH="$(abspath $(BIN)):$$PATH" docker/lint.sh

try-docker: ## Walk the image's steps in a clean folder, without docker (needs the services).
	@docker/try_without_docker.sh

up: ## Start the production set-up with docker compose (see docs/deployment.md).
	@test -f .env || python3 docker/make_env.py
	docker compose --env-file .env -f docker/compose.yaml up --build --detach --wait

down: ## Stop it; its data stays in the volumes.
	docker compose --env-file .env -f docker/compose.yaml down

clean: ## Remove the virtual environment and caches; the data of `make run` stays.
	rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis staticfiles

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 is needed, and none was found."; exit 1; }
	@echo "Making the virtual environment with $(PYTHON) …"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module does not work; on Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/base.stamp: requirements/base.txt | $(VENV)/bin/python
	@echo "Installing the locked packages …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/base.txt | $(VENV)/bin/python
	@echo "Installing the locked packages for development …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/base.stamp

$(BENCH_VENV)/bench.stamp: requirements/bench.txt
	@echo "Installing the peers of the benchmark …"
	@test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@
