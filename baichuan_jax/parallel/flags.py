"""Compiler flags, passed as options of one compilation: the environment of the process does not change.

Each flag changes the program that `python -m experiments.benchmarks.flags` compiles for 7 billion parameters, except
`_NO_WINDOWS`, which changes plans with parameters sharded over several axes (docs/scale.md). Flags that had no effect
or a bad one are in experiments/LOG.md.
"""

from __future__ import annotations

import jax

Flags = dict[str, bool | int]

# Without this, XLA computes gradients summed by the strategy "staged" as a loop of permutes and small products that
# wait for each other.
_NO_WINDOWS: Flags = {"xla_jf_spmd_threshold_for_windowed_einsum_mib": 1_000_000}
# Run collectives on the sparse cores while the others multiply.
_SPARSE_CORES: Flags = _NO_WINDOWS | {
    "xla_tpu_enable_sparse_core_collective_offload_all_gather": True,
    "xla_tpu_enable_sparse_core_collective_offload_2d_all_gather": True,
    "xla_tpu_enable_sparse_core_collective_offload_reduce_scatter": True,
    "xla_tpu_enable_sparse_core_collective_offload_all_reduce": True,
}
FLAGS: dict[str, Flags] = {
    "cpu": {},
    "gpu": {
        # The default from Hopper on; without it, nothing overlaps with a collective on an A800.
        "xla_gpu_enable_latency_hiding_scheduler": True,
    },
    "tpu": {},  # of other generations
    "v5e": _NO_WINDOWS
    | {
        # Without the first two, reduce-scatters are synchronous. With them, a product and its collective do not fit
        # into the default 16 MiB of vector memory (E1001).
        "xla_enable_async_reduce_scatter_fusion": True,
        "xla_tpu_enable_async_collective_fusion_fuse_reduce_scatter": True,
        "xla_tpu_scoped_vmem_limit_kib": 20_480,
    },
    "v5p": _SPARSE_CORES
    | {
        # Without this, an all-gather over three axes of the torus becomes an all-reduce of twice the bytes.
        "xla_tpu_enable_sparse_core_collective_offload_3d_all_gather": True,
        "xla_tpu_prefer_async_allgather_to_allreduce": True,
        # Without this, the gradients outside the loops are summed in one message, which waits for all of them.
        "xla_jf_crs_combiner_threshold_count": 1,
    },
    "v6e": _SPARSE_CORES,
}
# Real devices and ahead-of-time targets have different names.
KINDS = {
    "TPU v5 lite": "v5e",
    "TPU v5e": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "TPU v6e": "v6e",
}


def kind(device: jax.Device) -> str:
    """Return the generation of a known TPU, "" for other devices."""
    return KINDS.get(device.device_kind, "")


def flags(device: jax.Device, platform: str) -> Flags:
    """Return the flags for a device. platform: cpu, gpu or tpu."""
    return FLAGS[kind(device) or platform]
