# make quickstart: install and run the whole recipe on real text.   make test: the default tests.
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= configs/runs/quickstart.gin

.PHONY: quickstart test test-time test-all chaos lint bench speedrun bench-start bench-saves bench-restart bench-sweep bench-tune bench-train bench-data bench-tokenizer bench-generate bench-evaluate stats clean

quickstart: .venv/installed
	$(BIN)/baichuan-jax run $(CONFIG)

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# All hostile texts, of which the default tests try some: whether anything takes more time than its length explains.
test-time: .venv/installed-dev
	$(BIN)/python -m pytest -n 0 -m '' tests/adversarial

test-all: .venv/installed-dev
	$(BIN)/python -m pytest -m ''

# Two processes that are killed, starved and deceived. KILLS=N: so many of the 200 kills. SEED=N: what they are drawn by.
chaos: .venv/installed-dev
	$(if $(KILLS),CHAOS_KILLS=$(KILLS)) $(if $(SEED),CHAOS_SEED=$(SEED)) $(BIN)/python -m pytest -n 0 -m chaos tests/chaos

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: bench-train
	$(BIN)/python -m experiments.benchmarks.bench_input

bench-start: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_start $(CONFIG)

bench-saves: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_saves $(CONFIG)

bench-restart: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_restart $(CONFIG)

# SOURCES="{'zh': 'FILE', ...}": the conversations to tune on.
bench-tune: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_tune "$(SOURCES)"

bench-sweep: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_sweep $(CONFIG)

# From raw text to 2.50 held-out bits per byte, three seeds; the rules and records are in experiments/RECORDS.md.
speedrun: .venv/installed
	$(BIN)/python -m experiments.benchmarks.speedrun

# PEER=PYTHON: one with torch and transformers, to compare with.
bench-train: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_train $(if $(PEER),--peer $(PEER))
	$(BIN)/python -m experiments.benchmarks.bench_train_gpu $(if $(PEER),--peer $(PEER))

# CORPORA=DIR adds texts: NAME.zh.jsonl.gz and NAME.en.jsonl.gz. BASELINE=REV: a commit to compare the speed with.
bench-data: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_data $(addprefix --corpora ,$(CORPORA)) $(addprefix --baseline ,$(BASELINE))
	$(BIN)/python -m experiments.benchmarks.planted_duplicates $(addprefix --corpora ,$(CORPORA))

bench-tokenizer: .venv/installed-dev
	$(BIN)/python -m experiments.benchmarks.bench_tokenizer

# PEER=PYTHON: one with the extra [peers], to compare with. CHECKPOINT=DIR: a model in LLaMA's layout, as well.
bench-generate: .venv/installed
	$(BIN)/python -m experiments.benchmarks.bench_generate $(if $(PEER),--peer $(PEER)) $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))

# DATA=DIR: the folder with mmlu.zip. PEER=PYTHON: one with lm-eval, torch, transformers and accelerate.
bench-evaluate: .venv/installed-dev
	$(BIN)/python -m experiments.benchmarks.bench_evaluate --data-dir $(DATA) $(if $(PEER),--peer $(PEER)) $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,dev]'
	touch $@

# How large the code is, and what one forward pass goes through.
stats: .venv/installed-dev
	$(BIN)/python -m experiments.benchmarks.stats

clean:
	rm -rf .venv build *.egg-info
