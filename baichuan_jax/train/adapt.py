"""LoRA as the train loop sees it: adapters are trained, the model they belong to is frozen."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.lora import adapter_axes, attach, init_adapters, stored_base
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.state import Adaptation, placed


def adapt(cfg: LoraConfig, model_cfg: DecoderConfig, params: Params, dtype: jnp.dtype) -> Adaptation:
    """Return what is trained of a model with adapters. params: frozen, and given up here. dtype: of the computation."""
    store = jax.jit(partial(stored_base, cfg, dtype=dtype), donate_argnums=0)
    is_abstract = isinstance(jax.tree.leaves(params)[0], jax.ShapeDtypeStruct)
    if cfg.base == "compute":
        frozen = params
    elif is_abstract:  # for a plan
        compiled = store.lower(params).compile()
        frozen = placed(jax.eval_shape(store, params), compiled.output_shardings)
    else:
        frozen = store(params)
    return Adaptation(
        partial(init_adapters, cfg, model_cfg), adapter_axes(cfg, model_cfg), partial(attach, cfg), frozen
    )


def abstract_adapters(cfg: LoraConfig, model_cfg: DecoderConfig, layout: Layout) -> Params:
    """Return the adapters as sharded `jax.ShapeDtypeStruct`."""
    shapes = jax.eval_shape(lambda: init_adapters(cfg, model_cfg, jax.random.key(0)))
    return placed(shapes, layout.shardings(adapter_axes(cfg, model_cfg), shapes))
