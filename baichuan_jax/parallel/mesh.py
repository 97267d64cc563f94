"""The device mesh: three named axes over whatever devices exist."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh

from baichuan_jax.core.errors import require
from baichuan_jax.parallel.config import AXES, MeshConfig


def make_mesh(cfg: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Lays `devices` (default: all) out over the mesh axes. Raises UserError if they do not fill it exactly."""
    devices = list(devices or jax.devices())
    fixed = math.prod(size for size in cfg.sizes() if size != -1)
    sizes = tuple(len(devices) // fixed if size == -1 else size for size in cfg.sizes())
    require(
        math.prod(sizes) == len(devices),
        "MeshConfig",
        dict(zip(AXES, cfg.sizes())),
        f"axes whose product is the number of devices, {len(devices)}",
        "set one axis to -1 to let it take what is left",
    )
    # Auto: shardings are propagated by the compiler from the constraints we state (make_mesh defaults to Explicit).
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices)
