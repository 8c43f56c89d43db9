# What can be done with this repository; `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

help:  ## List the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.venv/installed: requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

install: .venv/installed  ## Install Pullpass and its tools into .venv

run: install  ## Start hub, controller and a sandbox with three clusters; Ctrl-C ends all of it
	@$(BIN)/pullpass up --sandbox

programs: install  ## Say which programs the tests miss, and how to get them; with CI=true on Debian, install them
	@tools/programs.sh

kubernetes: programs  ## Build a real API server once, into a cache outside the repository (10 minutes)
	@tools/kubernetes/build.sh

plugin:  ## Build the credential provider that node delivery installs, once, into a cache (a minute)
	@tools/ecr-plugin/build.sh

test: programs  ## Run the tests; a real part that is missing is skipped, or with CI=true a failure
	@$(BIN)/python -m tests.support.side_by_side

e2e: kubernetes  ## Run real nodes with the image of this clone; needs root, leaves nothing behind
	@image=$$($(BIN)/python -m tests.support.nodes.parts) && \
	PULLPASS_E2E_IMAGE=$$image exec $(BIN)/python -m tests.support.nodes.run tests/e2e

lint: install  ## Check style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install  ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## Print the figures, each as a ratio to a baseline of the same run
	$(BIN)/python -m tests.bench

screenshots: programs  ## Make docs/images anew, from the sandbox
	$(BIN)/python -m tests.browser.screenshots

image: install  ## Build the image with docker, podman or buildah
	@tools/image.sh

PIN := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make pins"

pins:  ## Write requirements/*.txt anew from pyproject.toml (needs uv)
	$(PIN) pyproject.toml --output-file requirements/runtime.txt
	$(PIN) pyproject.toml --group dev --output-file requirements/dev.txt
	$(PIN) --group build --output-file requirements/build.txt

.PHONY: help install run programs kubernetes plugin test e2e lint format bench screenshots image pins
