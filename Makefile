# `make serve` and `make test` need a Rust toolchain, python3 with pip, a C compiler and make;
# everything else they set up by themselves. A second call does only what has changed.

SHELL := /bin/sh
.DEFAULT_GOAL := help
BINARY := target/release/resnet-serve
ARGS ?=
# With the examples, because their dependencies are the tests': nothing is compiled twice with other features.
DEBUG_BUILD := cargo build --locked --bins --examples

.PHONY: help serve test test-clients test-web test-api test-monitoring lint build runtime image test-image test-limits test-k8s test-rollout capacity overload bench bench-micro fuzz clean tools

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: build ## build what is missing, then serve on http://127.0.0.1:8080 (ARGS="--listen …" for more)
	@exec $(BINARY) serve $(ARGS)

build: tools runtime ## the release binary, target/release/resnet-serve
	@echo "Building resnet-serve (the first time takes some minutes)"
	@cargo build --release --locked

test: tools runtime ## the program's tests; the others below are about what is around it
	@echo "Testing"
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --no-fail-fast; else cargo test --locked --no-fail-fast; fi

test-clients: tools runtime ## unmodified clients of the Open Inference Protocol against the real binary
	@$(DEBUG_BUILD)
	@python3 scripts/in_venv.py tests/clients/requirements.txt tests/clients/test_clients.py

test-web: tools runtime ## the page, in a real Chromium against the real binary
	@$(DEBUG_BUILD)
	@python3 scripts/in_venv.py tests/outside/requirements.txt -m unittest discover --verbose --start-directory tests/outside --pattern 'test_page*.py'

test-api: tools runtime ## what openapi.yaml says, against the real binary
	@$(DEBUG_BUILD)
	@python3 scripts/in_venv.py tests/outside/requirements.txt tests/outside/test_contract.py

test-monitoring: tools runtime ## rules, dashboard and traces against the real binary, a real Prometheus and a receiver of spans
	@command -v promtool >/dev/null || { echo "skipped: promtool is not installed (Debian: apt-get install prometheus)"; exit 0; }; \
		$(DEBUG_BUILD) && for test in files traces live; do \
		python3 scripts/in_venv.py tests/monitoring/requirements.txt tests/monitoring/test_$$test.py || exit 1; done

lint: tools ## formatting and clippy; warnings are errors
	@echo "Checking the formatting"
	@cargo fmt --check
	@cargo fmt --check --manifest-path fuzz/Cargo.toml
	@echo "Linting"
	@cargo clippy --locked --all-targets -- --deny warnings

runtime: tools ## fetch ONNX Runtime 1.31.1 into .runtime/ (FLAVOR=gpu for CUDA and TensorRT)
	@python3 scripts/fetch_onnxruntime.py $(if $(FLAVOR),--flavor $(FLAVOR))

tools:
	@command -v cargo >/dev/null || { echo "error: cargo is missing; install Rust 1.92 or newer: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "error: a C compiler is missing; install one (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)" >&2; exit 1; }
	@command -v python3 >/dev/null || { echo "error: python3 is missing; install it (Debian: apt-get install python3 python3-pip)" >&2; exit 1; }
	@python3 -m pip --version >/dev/null 2>&1 || { echo "error: pip is missing; install it (Debian: apt-get install python3-pip)" >&2; exit 1; }

image: ## the container image, with docker, podman or buildah (FLAVOR=gpu builds the one for CUDA too)
	@python3 scripts/build_image.py $(if $(FLAVOR),--flavor $(FLAVOR)) $(ARGS)

test-image: ## build the image and run it as the manifest would, without a registry or a Docker engine (root)
	@python3 tests/image/test_image.py $(ARGS)

test-limits: ## run that image under CPU and memory limits, and overload it
	@python3 tests/image/test_limits.py $(ARGS)

test-k8s: ## build and validate every manifest, hold it against the program, lint it and the Dockerfiles
	@python3 scripts/in_venv.py tests/k8s/requirements.txt -m unittest discover --start-directory tests/k8s --pattern 'check_*.py'

test-rollout: build ## replace replicas behind a load balancer under load: no request may fail (ARGS="--rollouts 3")
	@cargo build --release --locked --example load
	@python3 tests/rollout/test_rollout.py $(ARGS)

capacity: ## simulate bursts and rollouts, and hold docs/capacity.md against what comes out
	@cd benchmarks/capacity && python3 -m unittest check_capacity && python3 run.py --check

overload: ## goodput and refusals at up to 5 times the capacity, beside LitServe (PHOTOS=DIR, CASES="load drain")
	@python3 benchmarks/overload/run.py $(CASES) $(if $(PHOTOS),--photos $(PHOTOS))

bench: ## beside what people would choose instead (PHOTOS=DIR, CASES="front-end resnet50", ROUNDS=5)
	@python3 benchmarks/compare.py $(CASES) $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-micro: tools ## what each stage takes of a core, without a server (PHOTOS=DIR, ARGS="decode")
	@PHOTOS=$(if $(PHOTOS),$(abspath $(PHOTOS))) cargo bench --locked --bench stages -- $(ARGS)

fuzz: tools ## feed the program with broken input on a stable toolchain (TARGET=upload RUNS=1000000; ARGS="-- -jobs=2")
	@python3 scripts/fuzz.py $(or $(TARGET),upload) --runs $(or $(RUNS),1000000) $(ARGS)

clean: ## remove what was built and fetched
	cargo clean
	rm -rf .runtime
