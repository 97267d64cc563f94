"""Accelerators to compile for ahead of time, with their data sheets.

A target is NAME:SHAPE. The shape is the torus of a TPU slice (v5p:4x4x4, v5e:16x16), or cards per host x hosts
(a800:8x16; h200:1 is one card).
"""

from __future__ import annotations

import math
import os
import re
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.extras import install_extra
from baichuan_jax.parallel.flags import Flags

GIB = 2**30


class Chip(NamedTuple):
    """One device. peak: dense bfloat16 FLOP/s. hbm: bytes available to a program. bandwidth: of HBM, bytes/s.

    link: bytes/s that a device sends to its neighbours (both directions of a torus axis, NVLink). network: bytes/s that
    it sends to other hosts; 0 if all devices are neighbours. dollars: assumed list price per hour, on demand.
    """

    platform: str
    peak: float
    hbm: float
    bandwidth: float
    link: float
    network: float
    dollars: float


CHIPS = {
    "v5e": Chip("tpu", 197e12, 15.75 * GIB, 819e9, 100e9, 0.0, 1.20),
    "v5p": Chip("tpu", 459e12, 95.0 * GIB, 2765e9, 200e9, 0.0, 4.20),
    "v6e": Chip("tpu", 918e12, 31.25 * GIB, 1640e9, 200e9, 0.0, 2.70),
    "a800": Chip("gpu", 312e12, 79.0 * GIB, 2039e9, 200e9, 25e9, 2.50),
    "h100": Chip("gpu", 989e12, 79.0 * GIB, 3352e9, 450e9, 50e9, 4.00),
    "h200": Chip("gpu", 989e12, 140.0 * GIB, 4800e9, 450e9, 50e9, 5.00),
}
# What the GPU compiler needs: name, compute capability, multiprocessors, shared memory (default, opt-in), L2, GHz.
CARDS = {
    "a800": ("NVIDIA A800-SXM4-80GB", (8, 0), 108, 167_936, 166_912, 41_943_040, 1.41),
    "h100": ("NVIDIA H100 80GB HBM3", (9, 0), 132, 233_472, 232_448, 52_428_800, 1.98),
    "h200": ("NVIDIA H200", (9, 0), 132, 233_472, 232_448, 62_914_560, 1.98),
}


# Without these, libtpu queries the network for its topology and warns that it has no type (any will do: the topology is
# named when compiling), and JAX warns that CUDA's libraries find no card.
ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5p-8",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
}


class Target(NamedTuple):
    """A machine to compile for."""

    name: str
    chip: Chip
    devices: list[jax.Device]
    per_host: int  # devices that the fast links join; all of a TPU slice


def find(name: str) -> Target:
    """Return the target with a name. Raise UserError if it is unknown, or its compiler is not installed."""
    kind, _, shape = name.partition(":")
    forms = "NAME:SHAPE, such as v5p:4x4x4, v5e:16x16 or h100:8x128 (cards of a host x hosts)"
    require(kind in CHIPS, "target", name, f"{forms}; NAME is one of {', '.join(CHIPS)}")
    require(bool(re.fullmatch(r"\d+(x\d+){0,2}", shape)), "target", name, forms)
    sizes = [int(size) for size in shape.split("x")]
    require(math.prod(sizes) > 0, "target", name, forms)
    for variable, value in ALONE.items():
        os.environ.setdefault(variable, value)
    if CHIPS[kind].platform == "tpu":
        return Target(name, CHIPS[kind], _tpu(name), math.prod(sizes))
    require(len(sizes) <= 2, "target", name, "cards of a host x hosts")
    per_host, hosts = (*sizes, 1)[:2]
    return Target(name, CHIPS[kind], _gpu(kind, per_host, hosts), per_host)


def compiled_for(
    target: Target, lowered: jax.stages.Lowered, flags: Flags | None = None
) -> tuple[jax.stages.Compiled, str]:
    """Compile a program; return it with its HLO text. flags: override those it was lowered with.

    jax cannot print programs for the sparse cores of v5p and v6e. The TPU compiler can dump them into a folder.
    """
    if target.chip.platform != "tpu":
        compiled = lowered.compile(flags)
        return compiled, compiled.as_text()
    with TemporaryDirectory() as folder:
        compiled = lowered.compile({**(flags or {}), "xla_dump_to": folder, "xla_dump_hlo_as_text": True})
        (file,) = Path(folder).glob("*.after_optimizations.txt")
        return compiled, file.read_text(encoding="utf-8")


def known_card(device: jax.Device) -> Chip | None:
    """Return the data sheet of a GPU, or None if it is not in the table."""
    kinds = [kind for kind, card in CARDS.items() if card[0] == device.device_kind]
    return CHIPS[kinds[0]] if kinds else None


def _tpu(name: str) -> list[jax.Device]:
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
    except Exception as error:  # jax raises RuntimeError of many kinds here
        missing = find_spec("libtpu") is None  # its error messages vary
        hint = f"install the compiler: {install_extra('tpu')}" if missing else "use a shape that exists"
        raise UserError(f"target = {name!r}: {str(error).splitlines()[0]}; {hint}") from error


def _gpu(kind: str, per_host: int, hosts: int) -> list[jax.Device]:
    jax.devices("cpu")  # finds plugins
    try:
        topology = topologies.get_topology_desc(
            platform="cuda", topology=f"1x{hosts}x{per_host}", target_config=_card(kind)
        )
        return list(topology.devices)
    except Exception as error:
        hint = f"install the compiler: {install_extra('cuda13')}"
        raise UserError(f"target = {kind!r}: {str(error).splitlines()[0]}; {hint}") from error


def _card(kind: str) -> str:
    """Return the card as the text protocol buffer that XLA reads."""
    label, (major, minor), cores, shared, optin, cache, clock = CARDS[kind]
    chip = CHIPS[kind]
    limits: dict[str, Any] = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49_152,
        "shared_memory_per_core": shared,
        "threads_per_core_limit": 2048,
        "core_count": cores,
        "fpus_per_core": 128 if major == 9 else 64,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65_535,
        "block_dim_limit_z": 65_535,
        "memory_bandwidth": int(chip.bandwidth),
        "l2_cache_size": cache,
        "clock_rate_ghz": clock,
        "device_memory_size": int(chip.hbm),
        "shared_memory_per_block_optin": optin,
        "registers_per_core_limit": 65_536,
        "registers_per_block_limit": 65_536,
    }
    fields = " ".join(f"{key}: {value}" for key, value in limits.items())
    capability = f"cuda_compute_capability {{ major: {major} minor: {minor} }}"
    rest = f'platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} device_description_str: "{label}"'
    return f"gpu_device_info {{ {fields} {capability} }} {rest}"
