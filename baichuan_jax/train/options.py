"""What a step is compiled with: the flags of the platform, and how large the messages of gradients may be."""

from __future__ import annotations

import math
from collections import Counter

import jax
import jax.numpy as jnp

from baichuan_jax.model.attention.implementations import choose
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import param_shapes
from baichuan_jax.model.flops import executed_flops_per_token
from baichuan_jax.model.spread import Sending
from baichuan_jax.parallel.buckets import Buckets, Link, plan_buckets
from baichuan_jax.parallel.config import mesh_axes
from baichuan_jax.parallel.flags import Flags, flags, kind
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.permutes import is_possible
from baichuan_jax.parallel.targets import Chip, known_card
from baichuan_jax.train.config import TrainConfig

EFFICIENCY = 0.7  # of the peak, that large matrix products reach
LAUNCH, HOP, NETWORK_HOP = 2e-5, 1e-6, 5e-6  # seconds: of a collective, of a device on fast links, and on a network


def options(model: DecoderConfig, train: TrainConfig, layout: Layout, dtype: jnp.dtype) -> Flags:
    """Return the compiler's options. dtype: of the gradients between devices."""
    platform = flags(layout.mesh.devices.flat[0], layout.platform)
    if (planned := buckets(model, train, layout, dtype)) is None:
        return platform
    return platform | {  # XLA counts what comes out of a collective
        "xla_gpu_all_gather_combine_threshold_bytes": planned.threshold,
        "xla_gpu_reduce_scatter_combine_threshold_bytes": planned.threshold // layout.num_shards("embed"),
    }


def sending(model: DecoderConfig, layout: Layout) -> Sending:
    """Decides who sends kernels and their gradients.

    On a TPU whose kernels are split over several mesh axes, and over every one that tokens are split over, libtpu would
    sum by all-reduces: twice the bytes. A v5e has no cores for collectives either. With replicas of the kernels to be
    summed over as well, the compiler lets less wait.
    """
    shared = [axis for axis in layout.token_axes if layout.mesh.shape[axis] > 1]
    num_shards = [layout.mesh.shape[axis] for axis in shared]
    possible = all(map(is_possible, num_shards)) and model.hidden % math.prod(num_shards) == 0
    is_split = len(shared) > 1 and set(shared) <= set(mesh_axes(layout.rules.embed))
    if layout.platform != "tpu" or not possible or not is_split:
        return "compiler"
    return "ahead" if kind(layout.mesh.devices.flat[0]) == "v5e" else "staged"


def buckets(model: DecoderConfig, train: TrainConfig, layout: Layout, dtype: jnp.dtype) -> Buckets | None:
    """Plans the messages of a layer's gradients, which become ready from its last matrix to its first.

    None where XLA takes no thresholds, where no card is known whose links to plan for, or where nothing is sent.
    """
    devices, num_shards = layout.mesh.devices.flatten(), layout.num_shards("embed")
    chip = known_card(devices[0])
    if layout.platform != "gpu" or chip is None or num_shards == 1:
        return None
    blocks = [leaf for leaf in jax.tree.leaves(param_shapes(model)["blocks"]) if leaf.ndim > 2]
    sizes = [leaf.size // model.layers * dtype.itemsize for leaf in reversed(blocks)]
    backward = products(model, train, layout, chip)[1] / model.layers / train.accumulate / 2  # two passes of four
    return plan_buckets(sizes, backward, num_shards, link(chip, num_shards, cards_of_a_host(devices)))


def cards_of_a_host(devices: list[jax.Device]) -> int:
    """Return how many cards the fast links join, also where every card has a process of its own."""
    numbers = [getattr(device, "local_hardware_id", None) or 0 for device in devices]
    return max(max(Counter(device.process_index for device in devices).values()), 1 + max(numbers))


def link(chip: Chip, num_shards: int, per_host: int) -> Link:
    """Return the link that so many neighbours of a mesh axis share. per_host: devices that the fast links join."""
    inside = num_shards <= per_host or not chip.network
    return Link(LAUNCH, HOP if inside else NETWORK_HOP, chip.link if inside else chip.network)


def products(model: DecoderConfig, train: TrainConfig, layout: Layout, chip: Chip) -> tuple[float, float]:
    """Return FLOPs that a token costs as the step is executed, and the seconds that a step takes for them."""
    kernel = choose(model, train.length, jnp.dtype("bfloat16"), layout.platform)
    executed = executed_flops_per_token(model, train.length, kernel)
    return executed, train.batch * train.length / layout.mesh.size * executed / (chip.peak * EFFICIENCY)
