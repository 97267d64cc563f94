"""LoRA: weights with a low-rank addition that alone is trained (Hu et al., arXiv 2106.09685).

An adapter of a weight [*in, *out] is {"down": [*in, r], "up": [r, *out]}; each has a leading axis of layers, as the
stacked blocks have. Adapters are a small tree of their own, which shards and checkpoints like the parameters.

L layers, r rank.
"""

from __future__ import annotations

import math
import re

import jax
import jax.numpy as jnp

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.model.decoder import Params, param_axes, param_shapes
from baichuan_jax.model.storage import OUTPUTS, Adapted, restored, store_block

Adapters = dict[str, dict[str, jax.Array]]  # "attention.query" -> {"down", "up"}
GROUPS = {"attention": ("query", "key", "value", "output"), "mlp": ("gate", "up", "down")}


def adapted_weights(cfg: LoraConfig, model_cfg: DecoderConfig) -> list[str]:
    """Return the names of the weights with adapters. Raise UserError if a pattern fits none."""
    blocks = param_shapes(model_cfg)["blocks"]
    names = [f"{part}.{name}" for part, weights in GROUPS.items() for name in weights if name in blocks[part]]
    for pattern in cfg.targets:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise UserError(f"LoraConfig.targets: {pattern!r} fits no weight; there are {', '.join(names)}")
    return [name for name in names if any(re.fullmatch(pattern, name) for pattern in cfg.targets)]


def adapter_count(cfg: LoraConfig, model_cfg: DecoderConfig) -> int:
    """Return the number of values in the adapters."""
    shapes = jax.eval_shape(lambda: init_adapters(cfg, model_cfg, jax.random.key(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def init_adapters(cfg: LoraConfig, model_cfg: DecoderConfig, key: jax.Array) -> Adapters:
    """Return fresh float32 adapters: `down` is normal with variance 1 / (number of inputs), `up` is 0."""
    names = adapted_weights(cfg, model_cfg)
    found = {}
    for name, each in zip(names, jax.random.split(key, len(names))):
        shape, inputs = _shape(model_cfg, name)
        std = 1 / math.sqrt(math.prod(shape[1 : 1 + inputs]))
        down = std * jax.random.normal(each, (*shape[: 1 + inputs], cfg.rank))
        found[name] = {"down": down, "up": jnp.zeros((shape[0], cfg.rank, *shape[1 + inputs :]))}
    return found


def adapter_axes(cfg: LoraConfig, model_cfg: DecoderConfig) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the logical axis names of every adapter, in the tree of `init_adapters`."""
    found = {}
    for name in adapted_weights(cfg, model_cfg):
        part, weight = name.split(".")
        axes, inputs = param_axes(model_cfg)["blocks"][part][weight], _shape(model_cfg, name)[1]
        found[name] = {
            "down": (*axes[: 1 + inputs], "lora_rank"),
            "up": (axes[0], "lora_rank", *axes[1 + inputs :]),
        }
    return found


def stored_base(cfg: LoraConfig, params: Params, dtype: jnp.dtype) -> Params:
    """Return the frozen parameters in the storage of `cfg.base`. dtype: of the computation."""
    if cfg.base == "compute":
        return params
    return params | {"blocks": jax.vmap(lambda block: store_block(block, cfg.base, dtype))(params["blocks"])}


def attach(cfg: LoraConfig, params: Params, adapters: Adapters, key: jax.Array | None = None) -> Params:
    """Return the parameters with adapters beside their weights. key: of the dropout; None: no dropout."""
    blocks = {part: dict(weights) if part in GROUPS else weights for part, weights in params["blocks"].items()}
    for number, (name, adapter) in enumerate(adapters.items()):
        part, weight = name.split(".")
        layers = adapter["down"].shape[0]
        keys = None if key is None or not cfg.drop else jax.random.split(jax.random.fold_in(key, number), layers)
        blocks[part][weight] = Adapted(blocks[part][weight], **adapter, key=keys, scale=cfg.scale, drop=cfg.drop)
    return params | {"blocks": blocks}


def merge(cfg: LoraConfig, params: Params, adapters: Adapters) -> Params:
    """Return parameters of which each weight W has become W + scale * down @ up, computed in float32."""
    blocks = {part: dict(weights) if part in GROUPS else weights for part, weights in params["blocks"].items()}
    for name, adapter in adapters.items():
        part, weight = name.split(".")
        added = jax.vmap(lambda down, up: jnp.tensordot(down, up, 1))(adapter["down"], adapter["up"])
        blocks[part][weight] = restored(blocks[part][weight], jnp.float32) + cfg.scale * added
    return params | {"blocks": blocks}


def _shape(model_cfg: DecoderConfig, name: str) -> tuple[tuple[int, ...], int]:
    """Return (shape of the stacked weight, [L, *in, *out]; how many axes its inputs have)."""
    part, weight = name.split(".")
    shape = param_shapes(model_cfg)["blocks"][part][weight].shape
    return shape, len(shape) - 1 - OUTPUTS[weight]
