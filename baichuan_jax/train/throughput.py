"""Tokens per second, and the share of the hardware's peak that they make use of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.flops import flops_per_token

# Dense peak of one device in bfloat16, FLOP/s, by a part of `device_kind`: the makers' data sheets.
PEAK_BF16 = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v6": 918e12,
    "A100": 312e12,
    "A800": 312e12,
    "H100": 989e12,
    "H200": 989e12,
}


def peak_flops(devices: Sequence[jax.Device]) -> tuple[float, str]:
    """Returns (FLOP/s of all devices together, where the figure is from)."""
    for kind, peak in PEAK_BF16.items():
        if kind in devices[0].device_kind:
            return peak * len(devices), f"data sheet, {kind} in bfloat16"
    # Simulated devices share one processor, so one measurement stands for all of them.
    hosts = len({device.process_index for device in devices})
    return measured_flops() * hosts, "measured: the best float32 1024 x 1024 matrix product"


def measured_flops(size: int = 1024, repeats: int = 50) -> float:
    """Returns the FLOP/s of the fastest of `repeats` square float32 products on the default device."""
    a = jnp.ones((size, size))
    multiply = jax.jit(lambda a: a @ a)
    multiply(a).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        multiply(a).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


class Meter:
    """Measures tokens per second between two readings; pauses (evaluation, checkpoints) do not count."""

    def __init__(self, model: DecoderConfig, length: int, devices: Sequence[jax.Device]):
        self._flops = {name: flops_per_token(model, length, name == "causal") for name in ("full", "causal")}
        self.peak, self.peak_source = peak_flops(devices)
        self._start, self._tokens = time.perf_counter(), 0

    def add(self, tokens: int) -> None:
        """Counts tokens trained on."""
        self._tokens += tokens

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leaves the time inside the block out."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    def read(self) -> dict[str, float]:
        """Returns tokens per second since the last reading, and the MFU that this is."""
        now = time.perf_counter()
        rate = self._tokens / (now - self._start)
        self._start, self._tokens = now, 0
        return {"tokens_per_second": rate, **self.mfu(rate)}

    def mfu(self, rate: float) -> dict[str, float]:
        """Returns model FLOPs utilisation by both conventions: attention counted in full, or its causal half."""
        return {f"mfu_{name}": rate * flops / self.peak for name, flops in self._flops.items()}
