# One line each. The first call of any target makes .venv and installs; later calls use it again.
PYTHON ?= python3.11
# `make demo DEVICE=gpu` installs the GPU build of FAISS instead.
DEVICE ?= cpu
# Tests at a time: two at least, since they wait for servers; memory for four is found in most places.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 2 ? 2 : n > 4 ? 4 : n)))
BIN := .venv/bin

demo: .venv/.installed-$(DEVICE)      ## the whole loop on real text: first champion, three retrains, report
	PERENNIAL_HOME=demo $(BIN)/python -m flows.demo

test: .venv/.installed-$(DEVICE)      ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

check: .venv/.installed-$(DEVICE)     ## lint, types, import contracts, fast tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" -q

lives: .venv/.installed-$(DEVICE)     ## many random lives, broken logs, swaps and kills; over an hour
	EXAMPLES=wild LIVES=300 FUZZED_LOGS=300 $(BIN)/python -m pytest -n $(WORKERS) --timeout 3000 \
	    tests/proofs/test_state_machine.py tests/proofs/test_kills.py tests/serving/test_following.py \
	    tests/proofs/test_false_negatives.py tests/expectations/test_fuzz.py

bench-loop: .venv/.installed-$(DEVICE)  ## time, memory and quality of `make demo`, against the bounds
	$(BIN)/python -m infra.bench.loop

bench-index: .venv/.installed-bench    ## cost of a change, recall, latency, swaps; beside LanceDB and FAISS
	$(BIN)/python -m infra.bench.index

bench-data: .venv/.installed-bench     ## from log to judgements and negatives: time, memory, quality
	$(BIN)/python -m infra.bench.data

bench-gate: .venv/.installed-$(DEVICE)   ## how often the gate errs, and the power that it has, by simulation
	$(BIN)/python -m infra.bench.gate

bench-serve: .venv/.installed-$(DEVICE)  ## the search service under load, swaps and ten minutes of it
	$(BIN)/python -m infra.bench.serve

bench-train: .venv/.installed-bench    ## our training loop beside SentenceTransformerTrainer
	$(BIN)/python -m infra.bench.train

bench-canary: .venv/.installed-$(DEVICE)  ## false alarms, how soon a loss is stopped, interleaving
	$(BIN)/python -m infra.bench.canary

bench-bridge: .venv/.installed-$(DEVICE)  ## what a bridge to a new encoder finds of the full re-embedding
	$(BIN)/python -m infra.bench.bridge

bench-fusion: .venv/.installed-$(DEVICE)  ## what words (BM25) add to vectors, and what they cost
	$(BIN)/python -m infra.bench.fusion

bench-shadow: .venv/.installed-$(DEVICE)  ## what mirroring live queries to a candidate costs the answers
	$(BIN)/python -m infra.bench.shadow

bench-watch: .venv/.installed-$(DEVICE)  ## false verdicts of ninety days, and how soon planted drift is found
	$(BIN)/python -m infra.bench.watch

bench-triggers: .venv/.installed-$(DEVICE)  ## which deliveries start a run, and what Prefect adds to one
	$(BIN)/python -m infra.bench.triggers

bench-ray: .venv/.installed-bench      ## embedding by Ray's workers beside one process: speed, same vectors
	$(BIN)/python -m infra.bench.ray

up: .venv/.installed-up      ## all of it on this machine without containers, until Ctrl-C
	$(BIN)/python -m infra.up

gameday: .venv/.installed-up ## breaks a running system in ten ways: what it noticed, and what was lost
	$(BIN)/python -m infra.gameday

clean:                      ## forget what demo, benchmarks and dvc made; never the state folder
	rm -rf demo bench gameday snapshot artifacts work dvc_plots

# The stamp is written last: an installation that was interrupted starts again, and so does one
# for the other device (faiss-cpu and faiss-gpu own the same folder). The pip that comes with Python
# 3.11 spends minutes on these constraints, so a newer one is installed first.
.venv/.installed-$(DEVICE): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-compile -e '.[$(DEVICE),dev]'
	-$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null  # a few test files of packages do not compile
	touch $@

# What only benchmarks stand beside.
.venv/.installed-bench: .venv/.installed-$(DEVICE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(DEVICE),bench]'
	touch $@

# What only `make up` needs.
.venv/.installed-up: .venv/.installed-$(DEVICE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(DEVICE),server]'
	touch $@

.PHONY: up gameday demo test check lives bench-loop bench-index bench-data bench-gate bench-serve bench-shadow bench-train bench-canary bench-bridge bench-fusion bench-watch bench-triggers bench-ray clean
