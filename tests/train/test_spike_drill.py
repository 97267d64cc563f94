"""The spike drill: fifty faults in real training, of which clear ones are found, and clean runs without an alarm."""

from itertools import islice

import jax
import numpy as np
import pytest

from baichuan_jax.data.sources.demo import DEMOS, read_demo
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.tokenizer.shards import TokenStore, write_index
from baichuan_jax.train.config import MixConfig, OptimConfig, TrainConfig
from baichuan_jax.train.input import Batches, iterate, place
from tests.train.curves import CLEAR, NAMES, Fault, alarms, draw_faults, effect, found_of, with_faults
from tests.train.small import layout, setup

STEPS, WARMUP, SEEDS, SHUFFLED = 5000, 200, 4, 12
PART = 4_000_000  # bytes of each corpus
OPTIMISED = {"xla_backend_optimization_level": 2}  # tests compile without, which makes a step take three times as long
DEBUG = DecoderConfig(vocab=256, layers=2, hidden=64, heads=8, head_dim=16, inner=176, context=256)


def beginning(corpus: str) -> np.ndarray:
    """Return the first bytes of a demo corpus, at least `PART` of them if it has as many."""
    whole = bytearray()
    for document in read_demo(corpus, "replace"):
        whole += document.text.encode() + b"\n"
        if len(whole) >= PART:
            break
    return np.frombuffer(bytes(whole), np.uint8).astype("<u2")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> TokenStore:
    """Return the demo corpora, Chinese, English and code, a token for each byte."""
    directory = tmp_path_factory.mktemp("text")
    shards = {}
    for name in DEMOS:
        ids = beginning(name)
        shards[name] = {}
        for split, part in (("train", ids[:-20000]), ("validation", ids[-20000:])):
            path = directory / name / f"{split}-00000.bin"
            path.parent.mkdir(exist_ok=True)
            part.tofile(path)
            shards[name][split] = [{"file": f"{name}/{path.name}", "documents": 1, "tokens": len(part)}]
    write_index(directory, 256, shards)
    return TokenStore(directory)


class Shuffled(Batches):
    """Batches of which some have their tokens in no order."""

    steps: frozenset[int] = frozenset()

    def __getitem__(self, step):
        batch = super().__getitem__(step)
        if step not in self.steps:
            return batch
        order = np.random.default_rng(step).permutation(batch.tokens.shape[1])
        return batch._replace(tokens=batch.tokens[:, order], targets=batch.targets[:, order[::-1]])


def train(
    text: TokenStore, seed: int, until: int = STEPS, shuffled: frozenset[int] = frozenset()
) -> dict[str, np.ndarray]:
    """Return the curves of a training of STEPS steps, up to one of them."""
    cfg = TrainConfig(steps=STEPS, batch=32, length=32, seed=seed)
    optim_cfg = OptimConfig(peak_lr=(1e-3, 3e-3)[seed % 2], warmup_steps=WARMUP)
    lay = layout(1)
    _, state, step = setup(cfg, lay, DEBUG, optim_cfg)
    batches = Shuffled(cfg, MixConfig(weights=dict.fromkeys(text.domains, 1.0)), text)
    batches.steps = shuffled
    compiled = step.lower(state, place(lay, batches[0])).compile(OPTIMISED)
    found = []
    for rows in islice(iterate(cfg, batches), until):
        state, values = compiled(state, place(lay, rows))
        found.append({name: values[name] for name in NAMES})
    found = jax.device_get(found)
    return {name: np.array([float(values[name]) for values in found]) for name in NAMES}


@pytest.mark.slow
def test_four_clean_runs_raise_no_alarm_and_fifty_faults_are_found(text, capfd):
    """Limits were chosen on runs and faults of other seeds (100, 101; 5); that no fall is expected, on seed 1."""
    clean = [train(text, seed) for seed in range(SEEDS)]
    assert [alarms(curves) for curves in clean] == [[]] * SEEDS
    rng, until = np.random.default_rng(19), 2000
    apart = (until - 400) // SHUFFLED
    places = frozenset(int(300 + apart * number + rng.integers(apart // 2)) for number in range(SHUFFLED))
    shuffled = [Fault(step, 1, {}) for step in sorted(places)]
    drawn = draw_faults(19, 50 - SHUFFLED, first=100, last=STEPS - 50)
    clear, missed = 0, []
    for faults, curves in ((drawn, with_faults(clean[0], drawn)), (shuffled, train(text, 0, until, places))):
        for fault, found in zip(faults, found_of(faults, alarms(curves))):
            size = effect(clean[0], curves, fault.start)
            clear += size > CLEAR
            if not found:
                missed.append((fault, size))
    with capfd.disabled():
        print(f"\n{clear} faults of 50 exceed {CLEAR} deviations; not found: {len(missed)}", *missed, sep="\n  ")
    assert clear >= 40
    assert sum(size > CLEAR for _, size in missed) <= 0.02 * clear
