"""The device mesh: four named axes over the available devices, laid out along their interconnect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.parallel.config import AXES, MeshConfig

# Auto: shardings are propagated by the compiler from the constraints we state (make_mesh defaults to Explicit).
AUTO = (AxisType.Auto,) * len(AXES)


def make_mesh(cfg: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Lay out `devices` (default: all) over the mesh axes; axes other than data stay inside islands where possible.

    Raise UserError if the sizes do not match the number of devices, or an axis does not fit the islands or the torus.
    """
    devices = list(devices or jax.devices())
    fixed = math.prod(size for size in cfg.sizes() if size != -1)
    sizes = tuple(len(devices) // fixed if size == -1 else size for size in cfg.sizes())
    require(
        math.prod(sizes) == len(devices),
        "MeshConfig",
        dict(zip(AXES, cfg.sizes())),
        f"axes whose product is the number of devices, {len(devices)}",
        "set one axis to -1 to use the remaining devices",
    )
    across = across_islands(sizes, devices)
    try:
        if math.prod(across) == 1:
            return jax.make_mesh(sizes, AXES, axis_types=AUTO, devices=devices)
        return Mesh(arrange(sizes, across, devices), AXES, axis_types=AUTO)
    except NotImplementedError as error:  # an axis does not fit the torus of a TPU
        shape = dict(zip(AXES, sizes))
        raise UserError(f"MeshConfig = {shape} does not fit the interconnect of these devices: {error}") from error


def island(device: jax.Device) -> int:
    """Return the island of a device, the group that fast links join: a TPU slice, or the GPUs of a host."""
    return device.process_index if device.platform == "cpu" else getattr(device, "slice_index", 0)


def across_islands(sizes: tuple[int, ...], devices: Sequence[jax.Device]) -> tuple[int, ...]:
    """Return how many islands each of the axes (data, fsdp, context, tensor) crosses.

    data crosses islands first, since it communicates least; then fsdp. context and tensor cross none.
    """
    islands = Counter(map(island, devices))
    if len(islands) == 1:
        return (1,) * len(sizes)
    inside = min(islands.values())
    require(inside == max(islands.values()), "devices of each island", sorted(islands.values()), "as many in each")
    _, fsdp, context, tensor = sizes
    inner, name = context * tensor, "context * tensor" if context > 1 else "tensor"
    joined = f"the {inside} devices that fast links join in each of {len(islands)} islands"
    require(inside % inner == 0, f"MeshConfig.{name}", inner, f"a divisor of {joined}")
    replica = fsdp * inner
    require(
        inside % replica == 0 or replica % inside == 0,
        f"MeshConfig.fsdp * {name}",
        replica,
        f"a divisor or a multiple of {joined}",
        f"fsdp = {inside // inner} fills one, and data takes the others",
    )
    crossed = max(1, replica // inside)
    return (len(islands) // crossed, crossed, 1, 1)


def arrange(sizes: tuple[int, ...], across: tuple[int, ...], devices: Sequence[jax.Device]) -> np.ndarray:
    """Return the devices of several islands as an array of `sizes`, of which `across` lie between islands."""
    inside = tuple(size // num_islands for size, num_islands in zip(sizes, across))
    by_process = devices[0].platform == "cpu"
    return mesh_utils.create_hybrid_device_mesh(
        inside, across, devices, process_is_granule=by_process, allow_split_physical_axes=True
    )
