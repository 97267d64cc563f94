"""Curves of loss and gradient norm, faults in them, and how far those stand out."""

from typing import NamedTuple

import numpy as np

from baichuan_jax.train.config import SpikeConfig
from baichuan_jax.train.spikes import Detector

CFG = SpikeConfig(score=6.0)
NAMES = ("loss", "grad_norm")
WITHIN = 2  # steps in which a fault is to be found
CLEAR = 6.0  # robust deviations above which it has to be


class Fault(NamedTuple):
    """A fault of `length` steps from `start` on: {name: factor}, NaN for what is not a number."""

    start: int
    length: int
    factors: dict[str, float]


def synthetic(seed: int, steps: int = 1500, warmup: int = 100) -> dict[str, np.ndarray]:
    """Return curves as small models have them: a fall in the warm-up, a slow one after it, noise with heavy tails."""
    rng, place = np.random.default_rng(seed), np.arange(steps)
    rate = np.minimum(1, place / warmup)
    progress = np.cumsum(rate) + 1
    loss = 2.5 + 4 * progress ** -rng.uniform(0.2, 0.4)
    norm = (0.3 + 2 * np.exp(-((place - warmup / 2) ** 2) / (2 * warmup**2))) * rng.uniform(0.5, 2)
    noise = lambda scale: np.exp(scale * rng.standard_t(8, steps))
    return {"loss": loss * noise(rng.uniform(0.005, 0.04)), "grad_norm": norm * noise(rng.uniform(0.05, 0.15))}


def draw_faults(seed: int, count: int, first: int, last: int) -> list[Fault]:
    """Return faults at random steps, far from one another: of the loss, of the norm, or not a number."""
    rng, apart = np.random.default_rng(seed), (last - first) // count
    found = []
    for number in range(count):
        start = first + number * apart + int(rng.integers(apart // 2))
        kind = rng.choice(["loss", "grad_norm", "nan"], p=[0.45, 0.45, 0.1])
        if kind == "loss":
            found.append(Fault(start, int(rng.integers(1, 11)), {"loss": rng.uniform(1.3, 3)}))
        elif kind == "grad_norm":
            found.append(Fault(start, 1, {"grad_norm": float(np.exp(rng.uniform(np.log(5), np.log(100))))}))
        else:
            found.append(Fault(start, 1, {str(rng.choice(NAMES)): float("nan")}))
    return found


def with_faults(curves: dict[str, np.ndarray], faults: list[Fault]) -> dict[str, np.ndarray]:
    """Return the curves with these faults."""
    changed = {name: curve.copy() for name, curve in curves.items()}
    for fault in faults:
        for name, factor in fault.factors.items():
            changed[name][fault.start : fault.start + fault.length] *= factor
    return changed


def effect(clean: dict[str, np.ndarray], changed: dict[str, np.ndarray], step: int, around: int = 50) -> float:
    """Return how many robust deviations of the clean curve around a step the changed one is above its median there.

    Of the raw values, with the steps after it too: another measure than the one under test.
    """
    found = []
    for name in NAMES:
        near = clean[name][max(0, step - around) : step + around]
        spread = 1.4826 * np.median(np.abs(near - np.median(near)))
        found.append((changed[name][step] - np.median(near)) / spread)
    return float("inf") if not np.all(np.isfinite(found)) else max(found)


def alarms(curves: dict[str, np.ndarray], cfg: SpikeConfig = CFG) -> list[int]:
    """Return the steps that are spikes."""
    detector = Detector(cfg)
    steps = range(len(curves["loss"]))
    return [step for step in steps if detector.add({name: float(curves[name][step]) for name in NAMES})]


def found_of(faults: list[Fault], alarmed: list[int]) -> list[bool]:
    """Return whether each fault was found in time."""
    return [any(fault.start <= step < fault.start + WITHIN for step in alarmed) for fault in faults]
