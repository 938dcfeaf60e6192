# The two commands: `make serve` and `make test`. Everything else: `make help`.

# Without it onnxruntime sends usage reports to its maker.
export ORT_DISABLE_TELEMETRY = 1

PYTHON ?= python3
PORT ?= $(or $(STEEL_PORT),8000)
# cpu; openvino for Intel's (with STEEL_DEVICE=openvino); or gpu on a machine with an NVIDIA driver of CUDA 13
# (r580 or newer)
EXTRA ?= cpu

PIP = -m pip --disable-pip-version-check install --constraint constraints.txt
SERVE_ENV = .venv-$(EXTRA)
DEV_ENV = .venv
DEV = $(DEV_ENV)/bin
# One environment each: BentoML and MLServer need different versions of opentelemetry.
PEERS = litserve bentoml mosec mlserver
# Pillow's own test pictures, of its source at the pinned version.
CORPORA = .corpora
# A separate environment: the tools of the audit are not part of what it audits.
TOOLS_ENV = .venv-supply-chain
# Label Studio's converter, for tests; a separate environment: it brings a second OpenCV.
LABEL_ENV = .venv-label-studio
PEER_ENVS = $(PEERS:%=.venv-peers/%/.installed)

SLOW_KINDS = browser clients corpora docker faults fuzz hostile model proxies steel_ray
# Fixed, not one for each processor: what is timed in the tests knows one neighbour.
SIDE_BY_SIDE = --numprocesses 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help serve serve-ray env test quick bench chaos fuzz fuzz-decoders check audit sbom docs format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: $(SERVE_ENV)/.installed ## run the service with the default model (PORT=8000, EXTRA=cpu|gpu)
	@echo "For folders of strips, in another terminal: $(SERVE_ENV)/bin/steel --help"
	@STEEL_PORT=$(PORT) exec $(SERVE_ENV)/bin/python -m service

serve-ray: .venv-ray/.installed ## run the service as Ray Serve replicas, one per processor (ARGS="--replicas 4")
	@STEEL_PORT=$(PORT) exec .venv-ray/bin/python -m steel_ray $(ARGS)

env: $(DEV_ENV)/.installed ## make .venv for training and development only: 2.8 GB, over 2 minutes

test: $(DEV_ENV)/.installed $(LABEL_ENV)/.installed $(CORPORA)/.installed ## run every test, two files at a time, with branch coverage
	$(DEV)/python -m coverage erase
	COVERAGE_PROCESS_START=pyproject.toml $(DEV)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)
	$(DEV)/python -m coverage combine --quiet
	$(DEV)/python -m coverage report

quick: $(DEV_ENV)/.installed ## run the quick tests: units and the API in this process, in 90 seconds
	$(DEV)/python -m pytest $(SIDE_BY_SIDE) -m "not slow" $(SLOW_KINDS:%=--ignore=tests/%) $(ARGS)

bench: $(DEV_ENV)/.installed $(PEER_ENVS) ## measure the service, its ceilings and other servers (ARGS="--quick")
	$(DEV)/python -m bench $(ARGS)

chaos: $(DEV_ENV)/.installed ## ten minutes of load with disconnects, bad files, reloads and kills (ARGS="--minutes 1")
	$(DEV)/python -m bench.chaos $(ARGS)

fuzz: $(DEV_ENV)/.installed ## 5,000 requests generated from the OpenAPI document (ARGS="--cases 50000 --seed 9")
	$(DEV)/python -m tests.fuzz $(ARGS)

fuzz-decoders: $(DEV_ENV)/.installed ## mutate image files for a minute, guided by coverage (ARGS="--seconds 3600")
	$(DEV)/python -m tests.fuzz.decoders $(ARGS)

check: $(DEV_ENV)/.installed ## lint, format, types, architecture, manifests, known vulnerabilities
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/lint-imports
	$(DEV)/python -m tools.manifests
	$(DEV)/python -m tools.audit

audit: $(DEV_ENV)/.installed ## look for known vulnerabilities in what constraints.txt pins
	$(DEV)/python -m tools.audit

# From the image where Docker runs (make it first), else from the environment of `make serve`, which holds what the
# commands need, too.
sbom: $(TOOLS_ENV)/.installed ## list the Python packages that serve, as CycloneDX: build/sbom.cdx.json (EXTRA=cpu|gpu)
	@mkdir -p build
	@if docker image inspect steel-defect-service:$(EXTRA) >/dev/null 2>&1; then \
	  echo "of the image steel-defect-service:$(EXTRA)"; \
	  docker build --file deploy/sbom.Dockerfile --build-arg IMAGE=steel-defect-service:$(EXTRA) --output build . ; \
	else \
	  echo "no image steel-defect-service:$(EXTRA) here; of $(SERVE_ENV)"; \
	  $(MAKE) --no-print-directory $(SERVE_ENV)/.installed && \
	  sed "s/^dynamic = .*/$$(sed -n 's/^__version__/version/p' service/__init__.py)/" pyproject.toml >build/pyproject.toml && \
	  $(TOOLS_ENV)/bin/cyclonedx-py environment $(SERVE_ENV) --pyproject build/pyproject.toml --output-file build/sbom.cdx.json; \
	fi

docs: $(DEV_ENV)/.installed ## write docs/settings.md and the table of docs/labels.md from the code
	$(DEV)/python -m tools.settings_page
	$(DEV)/python -m tools.label_variants

format: $(DEV_ENV)/.installed ## put the code into its format
	$(DEV)/ruff check --fix .
	$(DEV)/ruff format .

clean: ## remove environments and caches
	rm -rf .venv* .corpora .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info .coverage*

$(SERVE_ENV)/.installed: pyproject.toml constraints.txt
	$(call make_env,$(SERVE_ENV),$(EXTRA)$(comma)client)

.venv-ray/.installed: pyproject.toml constraints.txt
	$(call make_env,.venv-ray,$(EXTRA)$(comma)ray)

$(DEV_ENV)/.installed: pyproject.toml constraints.txt
	$(call make_env,$(DEV_ENV),cpu$(comma)train$(comma)dev)

$(TOOLS_ENV)/.installed: deploy/supply-chain.txt
	$(PYTHON) -m venv $(TOOLS_ENV)
	$(TOOLS_ENV)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

$(LABEL_ENV)/.installed: tests/steel_cli/label-studio.txt
	$(PYTHON) -m venv $(LABEL_ENV)
	$(LABEL_ENV)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

$(CORPORA)/.installed: constraints.txt | $(DEV_ENV)/.installed
	$(DEV)/python -m pip --disable-pip-version-check download --quiet --no-deps --no-binary pillow \
	  --constraint constraints.txt --dest $(CORPORA) pillow
	tar --extract --file $(CORPORA)/pillow-*.tar.gz --directory $(CORPORA) --strip-components 1 --wildcards '*/Tests/images'
	rm $(CORPORA)/pillow-*.tar.gz
	@touch $@

# A server that cannot be installed, such as MLServer on Python 3.13, becomes a row of the table that says so.
.venv-peers/%/.installed: bench/peers/requirements-%.txt
	$(PYTHON) -m venv .venv-peers/$*
	-.venv-peers/$*/bin/python -m pip --disable-pip-version-check install --requirement $<
	@touch $@

comma := ,
define make_env
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer, $(PYTHON) is " + sys.version)'
	$(PYTHON) -m venv $(1)
	$(1)/bin/python $(PIP) --editable ".[$(2)]"
	@touch $@
endef
