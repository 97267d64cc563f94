"""Tokens per second, the share of the hardware's peak that they make use of, and the memory that they take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import jax
import jax.numpy as jnp

from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import FLOAT32, Execution
from baichuan_jax.model.flops import executed_flops_per_token, flops_per_token
from baichuan_jax.parallel.flags import KINDS
from baichuan_jax.parallel.targets import CHIPS

# Dense peak of one device in bfloat16, FLOP/s, by a part of `device_kind`: the makers' data sheets.
PEAK_BF16 = {
    "TPU v4": 275e12,
    **{label: CHIPS[kind].peak for label, kind in KINDS.items()},
    "A100": CHIPS["a800"].peak,  # they differ in their links alone
    "A800": CHIPS["a800"].peak,
    "H100": CHIPS["h100"].peak,
    "H200": CHIPS["h200"].peak,
}


def peak_flops(devices: Sequence[jax.Device], dtype: jnp.dtype = FLOAT32) -> tuple[float, str]:
    """Return (FLOP/s of all devices together, where the figure is from). dtype: of what is multiplied, on a CPU."""
    for kind, peak in PEAK_BF16.items():
        if kind in devices[0].device_kind:
            return peak * len(devices), f"data sheet, {kind} in bfloat16"
    # Simulated devices share one processor, so one measurement stands for all of them.
    hosts = len({device.process_index for device in devices})
    return measured_flops(dtype) * hosts, f"measured: the best {dtype} 1024 x 1024 matrix product"


def measured_flops(dtype: jnp.dtype = FLOAT32, size: int = 1024, repeats: int = 50) -> float:
    """Return the FLOP/s of the fastest of `repeats` square products, summed in float32, on the default device."""
    a = jnp.ones((size, size), dtype)
    multiply = jax.jit(lambda a: jnp.matmul(a, a, preferred_element_type=FLOAT32))
    multiply(a).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        multiply(a).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def peak_memory(devices: Sequence[jax.Device]) -> dict[str, int]:
    """Return {"peak_memory_bytes": the most that one of these devices has had in use}; {} where they do not count."""
    stats = [device.memory_stats() or {} for device in devices]
    peaks = [each["peak_bytes_in_use"] for each in stats if "peak_bytes_in_use" in each]
    return {"peak_memory_bytes": max(peaks)} if peaks else {}


def step_memory(compiled: jax.stages.Compiled) -> int:
    """Return the bytes of a device that a program needs, with what goes into it, as its compiler planned them."""
    memory = compiled.memory_analysis()
    own = memory.output_size_in_bytes - memory.alias_size_in_bytes  # what is donated is used again
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + own


class Meter:
    """Measures tokens per second between two readings; pauses (evaluation, checkpoints) do not count."""

    def __init__(self, model_cfg: DecoderConfig, length: int, exe: Execution):
        implementation, mesh = choose_implementation(model_cfg, length, exe), exe.layout.mesh
        self._flops = {
            "mfu_full": flops_per_token(model_cfg, length, causal=False),
            "mfu_causal": flops_per_token(model_cfg, length, causal=True),
            "hfu": executed_flops_per_token(model_cfg, length, implementation),
        }
        self._devices, self._dtype = mesh.devices.flatten(), exe.dtype
        self._local = mesh.local_devices
        self._start, self._tokens = time.perf_counter(), 0

    @cached_property
    def peak(self) -> tuple[float, str]:
        """The FLOP/s of all devices, and where the figure is from."""
        return peak_flops(self._devices, self._dtype)

    def find_peak(self) -> None:
        """Look the peak up, or measure it; the devices should be idle."""
        with self.pause():
            _ = self.peak

    def add(self, tokens: int) -> None:
        """Count tokens trained on."""
        self._tokens += tokens

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leaves the time inside the block out."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    def read(self) -> dict[str, float]:
        """Return tokens per second since the last reading, in all and of a device, the utilisation, and the memory."""
        now = time.perf_counter()
        rate = self._tokens / (now - self._start)
        self._start, self._tokens = now, 0
        speed = {"tokens_per_second": rate, "tokens_per_second_per_device": rate / len(self._devices)}
        return {**speed, **self.utilisation(rate), **peak_memory(self._local)}

    def utilisation(self, rate: float) -> dict[str, float]:
        """Return the shares of the peak at so many tokens per second.

        mfu_full, mfu_causal: of the FLOPs that the model needs, attention counted in full or its causal half. hfu: of
        those that are executed, with what remat computes again.
        """
        return {name: rate * flops / self.peak[0] for name, flops in self._flops.items()}
