"""What is said of a training when it has ended."""

from __future__ import annotations

from typing import Any

import numpy as np

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import parameter_count
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.hooks import Record
from baichuan_jax.train.throughput import Meter


def untrained(model_cfg: DecoderConfig, layout: Layout) -> dict[str, Any]:
    """Return the summary of no training at all."""
    return {"parameters": parameter_count(model_cfg), "tokens": 0, "steps": 0, **_devices(layout)}


def _devices(layout: Layout) -> dict[str, Any]:
    return {"mesh": dict(layout.mesh.shape), "device": layout.mesh.devices.flat[0].device_kind}


def summary(
    cfg: TrainConfig, model_cfg: DecoderConfig, layout: Layout, meter: Meter, records: list[Record]
) -> dict[str, Any]:
    """Return how training ended, and its speed: medians over its records."""
    logged = [record for record in records if "loss" in record]
    keys = ("tokens_per_second", "tokens_per_second_per_device", "mfu_full", "mfu_causal", "hfu")
    speeds = {key: float(np.median([record[key] for record in logged])) for key in keys if logged}
    return {
        "parameters": parameter_count(model_cfg),
        "tokens": cfg.steps * cfg.batch * cfg.length,
        "steps": cfg.steps,
        "loss": logged[-1]["loss"] if logged else None,
        "validation": next((record["validation"] for record in reversed(records) if "validation" in record), {}),
        **speeds,
        "peak_flops": meter.peak[0],
        "peak_source": meter.peak[1],
        **_devices(layout),
    }
