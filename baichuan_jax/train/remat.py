"""DecoderConfig.remat 'auto': the least recomputation whose train step fits in the memory of a device."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jax

from baichuan_jax.core.machine import total_memory
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.train.agreement import least_of_all, texts_of_all
from baichuan_jax.train.checkpoint import readable_abouts
from baichuan_jax.train.throughput import step_memory

BY_MEMORY = ("none", "products", "block")  # least recomputation and most memory first
# Share of the memory that the step may take. Evaluation, a save and fragmentation take the rest; on a CPU also the data
# loader and whatever else runs there.
OF_DEVICE, OF_HOST = 0.95, 0.6


def candidates(remat: str, folder: Path) -> tuple[str, ...]:
    """Return the values of DecoderConfig.remat to try, in this order. remat: of the config.

    A training that goes on from a checkpoint in `folder` keeps what it began with, as another one rounds otherwise.
    """
    if remat != "auto":
        return (remat,)
    recorded = (about.get("remat") for about in readable_abouts(folder))
    found = next((remat for remat in recorded if remat in BY_MEMORY), None)
    return (found,) if found else BY_MEMORY


def memory_limit(devices: Sequence[jax.Device]) -> int:
    """Return the bytes that a train step may take on each of these devices of this process; all processes agree.

    On CPUs it is a share of the memory that the machine has, free or not, so that a restart finds the same.
    """
    stats = [device.memory_stats() or {} for device in devices]
    limits = [each["bytes_limit"] for each in stats if "bytes_limit" in each]
    if limits:
        return int(least_of_all(OF_DEVICE * min(limits)))
    here = socket.gethostname()
    processes = texts_of_all(here).count(here) if jax.process_count() > 1 else 1
    return int(least_of_all(OF_HOST * total_memory() / len(devices) / processes))


def compile_least(
    model_cfg: DecoderConfig, tried: Sequence[str], lower: Callable[[DecoderConfig], jax.stages.Lowered], limit: int
) -> tuple[DecoderConfig, jax.stages.Compiled]:
    """Return the config with the first recomputation whose step takes at most `limit` bytes, or the last, and its step.

    A compiler that refuses a step for its memory, as XLA for TPU does, is answered with the next.
    """
    for remat in tried:
        chosen, is_last = replace(model_cfg, remat=remat), remat == tried[-1]
        try:
            step = lower(chosen).compile()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or is_last:
                raise
            continue
        if is_last or step_memory(step) <= limit:
            break
    return chosen, step


def choice(model_cfg: DecoderConfig, step: jax.stages.Compiled, limit: int) -> str:
    """Return the line that says what was chosen, and why."""
    return (
        f"DecoderConfig.remat is {model_cfg.remat!r}: a step takes {step_memory(step) / 2**30:.2f} GiB of a device, "
        f"and may take {limit / 2**30:.2f}"
    )
