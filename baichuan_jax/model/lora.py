"""LoRA: weights with a low-rank addition that alone is trained (Hu et al., arXiv 2106.09685).

An adapter of a weight [*in, *out] is {"down": [*in, r], "up": [r, *out]}; with the layers of a block stacked, each has a
leading axis. Adapters are a small tree of their own beside the parameters, which shards and checkpoints like them.

L layers, r rank.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.settings import setting
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, param_axes, param_shapes
from baichuan_jax.model.storage import OUTPUTS, Adapted, restored

Adapters = dict[str, dict[str, jax.Array]]  # "attention.query" -> {"down", "up"}
GROUPS = {"attention": ("query", "key", "value", "output"), "mlp": ("gate", "up", "down")}


@dataclass(frozen=True)
class LoraConfig:
    """Which weights get an adapter, and of what size."""

    rank: int = setting(0, "rank of the adapters; 0 tunes all parameters instead")
    alpha: float = setting(16.0, "an adapter's product is multiplied by alpha / rank")
    targets: tuple[str, ...] = setting(
        (r".*",), "regular expressions; a weight of the blocks, such as 'attention.query' or 'mlp.up', needs to match one"
    )

    def __post_init__(self) -> None:
        require(self.rank >= 0, "LoraConfig.rank", self.rank, "0 (off) or more")
        require(self.alpha > 0, "LoraConfig.alpha", self.alpha, "a positive number")
        for pattern in self.targets:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UserError(f"LoraConfig.targets: {pattern!r} is no regular expression ({error})") from None

    @property
    def scale(self) -> float:
        """What an adapter's product is multiplied by."""
        return self.alpha / self.rank


def adapted_weights(cfg: LoraConfig, model_cfg: DecoderConfig) -> list[str]:
    """Return the names of the weights with adapters. Raise UserError if a pattern fits none."""
    blocks = param_shapes(model_cfg)["blocks"]
    names = [f"{part}.{name}" for part, weights in GROUPS.items() for name in weights if name in blocks[part]]
    for pattern in cfg.targets:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise UserError(f"LoraConfig.targets: {pattern!r} fits no weight; there are {', '.join(names)}")
    return [name for name in names if any(re.fullmatch(pattern, name) for pattern in cfg.targets)]


def init_adapters(cfg: LoraConfig, model_cfg: DecoderConfig, key: jax.Array) -> Adapters:
    """Return fresh float32 adapters: `down` is normal with variance 1 / (number of inputs), `up` is 0."""
    names = adapted_weights(cfg, model_cfg)
    found = {}
    for name, each in zip(names, jax.random.split(key, len(names))):
        shape, inputs = _shape(model_cfg, name)
        down = (*shape[: 1 + inputs], cfg.rank)
        std = 1 / math.sqrt(math.prod(shape[1 : 1 + inputs]))
        up = jnp.zeros((shape[0], cfg.rank, *shape[1 + inputs :]))
        found[name] = {"down": std * jax.random.normal(each, down), "up": up}
    return found


def adapter_axes(cfg: LoraConfig, model_cfg: DecoderConfig) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the logical axis names of every adapter, in the tree of `init_adapters`; ranks are not sharded."""
    found = {}
    for name in adapted_weights(cfg, model_cfg):
        part, weight = name.split(".")
        axes, inputs = param_axes(model_cfg)["blocks"][part][weight], _shape(model_cfg, name)[1]
        found[name] = {
            "down": (*axes[: 1 + inputs], "lora_rank"),
            "up": (axes[0], "lora_rank", *axes[1 + inputs :]),
        }
    return found


def attach(params: Params, adapters: Adapters, scale: float) -> Params:
    """Return the parameters with adapters beside their weights; gradients reach the adapters alone."""
    frozen = jax.tree.map(jax.lax.stop_gradient, params)
    blocks = {part: dict(weights) for part, weights in frozen["blocks"].items()}
    for name, adapter in adapters.items():
        part, weight = name.split(".")
        blocks[part][weight] = Adapted(blocks[part][weight], adapter["down"], adapter["up"], scale)
    return frozen | {"blocks": blocks}


def merge(params: Params, adapters: Adapters, scale: float) -> Params:
    """Return parameters of which each weight W has become W + scale * down @ up, computed in float32."""
    blocks = {part: dict(weights) for part, weights in params["blocks"].items()}
    for name, adapter in adapters.items():
        part, weight = name.split(".")
        product = jax.vmap(lambda down, up: jnp.tensordot(down, up, 1))(adapter["down"], adapter["up"])
        blocks[part][weight] = restored(blocks[part][weight], jnp.float32) + scale * product
    return params | {"blocks": blocks}


def _shape(model_cfg: DecoderConfig, name: str) -> tuple[tuple[int, ...], int]:
    """Return (shape of the stacked weight, [L, *in, *out], and how many axes its inputs have)."""
    part, weight = name.split(".")
    shape = param_shapes(model_cfg)["blocks"][part][weight].shape
    return shape, len(shape) - 1 - OUTPUTS[weight]
