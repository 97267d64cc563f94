"""What a step is compiled with: the flags of the platform, and how large the messages of gradients may be."""

from __future__ import annotations

from collections import Counter

import jax

from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import param_shapes
from baichuan_jax.model.execution import Execution
from baichuan_jax.model.flops import executed_flops_per_token
from baichuan_jax.parallel.buckets import Buckets, Link, plan_buckets
from baichuan_jax.parallel.flags import Flags, flags
from baichuan_jax.parallel.targets import Chip, known_card
from baichuan_jax.train.config import TrainConfig

EFFICIENCY = 0.7  # of the peak, that large matrix products reach
LAUNCH, HOP, NETWORK_HOP = 2e-5, 1e-6, 5e-6  # seconds: of a collective, of a device on fast links, and on a network


def options(model_cfg: DecoderConfig, train_cfg: TrainConfig, exe: Execution) -> Flags:
    """Return the compiler's options."""
    platform = flags(exe.layout.mesh.devices.flat[0], exe.platform)
    if (planned := gradient_buckets(model_cfg, train_cfg, exe)) is None:
        return platform
    return platform | {  # XLA counts what comes out of a collective
        "xla_gpu_all_gather_combine_threshold_bytes": planned.threshold,
        "xla_gpu_reduce_scatter_combine_threshold_bytes": planned.threshold // exe.layout.num_shards("embed"),
    }


def gradient_buckets(model_cfg: DecoderConfig, train_cfg: TrainConfig, exe: Execution) -> Buckets | None:
    """Plan the messages of a layer's gradients, which become ready from its last matrix to its first.

    None where XLA takes no thresholds, where no card is known whose links to plan for, or where nothing is sent.
    """
    devices, shards = exe.layout.mesh.devices.flatten(), exe.layout.num_shards("embed")
    chip = known_card(devices[0])
    if exe.platform != "gpu" or chip is None or shards == 1:
        return None
    blocks = [leaf for leaf in jax.tree.leaves(param_shapes(model_cfg)["blocks"]) if leaf.ndim > 2]
    sizes = [leaf.size // model_cfg.layers * exe.dtype.itemsize for leaf in reversed(blocks)]
    seconds = step_products(model_cfg, train_cfg, exe, chip)[1]
    backward = seconds / model_cfg.layers / train_cfg.accumulate / 2  # two passes of four
    return plan_buckets(sizes, backward, shards, link(chip, shards, cards_of_a_host(devices)))


def cards_of_a_host(devices: list[jax.Device]) -> int:
    """Return how many cards the fast links join, also where every card has a process of its own."""
    numbers = [getattr(device, "local_hardware_id", None) or 0 for device in devices]
    return max(max(Counter(device.process_index for device in devices).values()), 1 + max(numbers))


def link(chip: Chip, shards: int, per_host: int) -> Link:
    """Return the link that so many neighbours of a mesh axis share. per_host: devices that the fast links join."""
    inside = shards <= per_host or not chip.network
    return Link(LAUNCH, HOP if inside else NETWORK_HOP, chip.link if inside else chip.network)


def step_products(model_cfg: DecoderConfig, train_cfg: TrainConfig, exe: Execution, chip: Chip) -> tuple[float, float]:
    """Return FLOPs that a token costs as the step is executed, and the seconds that a step takes for them."""
    implementation = choose_implementation(model_cfg, train_cfg.length, exe)
    executed = executed_flops_per_token(model_cfg, train_cfg.length, implementation)
    tokens = train_cfg.batch * train_cfg.length / exe.layout.mesh.size
    return executed, tokens * executed / (chip.peak * EFFICIENCY)
