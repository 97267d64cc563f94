"""What training carries from step to step, and where it lives."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, init_params, param_axes, param_shapes
from baichuan_jax.parallel.layout import Layout


class TrainState(NamedTuple):
    """step: optimizer steps done (int32). params: float32 master weights. optimizer: optax state."""

    step: jax.Array
    params: Params
    optimizer: Any


def _fresh(model: DecoderConfig, optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    return _unmoved(optimizer, init_params(model, jax.random.key(seed)))


def _unmoved(optimizer: optax.GradientTransformation, params: Params) -> TrainState:
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def state_shardings(model: DecoderConfig, optimizer: optax.GradientTransformation, layout: Layout) -> TrainState:
    """Derive the sharding of every leaf from the parameters' axes; optimizer moments follow their parameter."""
    shapes = jax.eval_shape(lambda: _fresh(model, optimizer, 0))
    params = layout.shardings(param_axes(model), shapes.params)
    moments = optax.tree_utils.tree_map_params(
        optimizer,
        lambda _, sharding: sharding,
        shapes.optimizer,
        params,
        transform_non_params=lambda _: layout.replicated,
    )
    return TrainState(layout.replicated, params, moments)


def abstract_state(model: DecoderConfig, optimizer: optax.GradientTransformation, layout: Layout) -> TrainState:
    """Return the state as sharded `jax.ShapeDtypeStruct`, to restore a checkpoint into."""
    shapes = jax.eval_shape(lambda: _fresh(model, optimizer, 0))
    return _placed(shapes, state_shardings(model, optimizer, layout))


def abstract_params(model: DecoderConfig, layout: Layout) -> Params:
    """Return the parameters alone as sharded `jax.ShapeDtypeStruct`."""
    shapes = param_shapes(model)
    return _placed(shapes, layout.shardings(param_axes(model), shapes))


def _placed(shapes: Any, shardings: Any) -> Any:
    place = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    return jax.tree.map(place, shapes, shardings)


def init_state(model: DecoderConfig, optimizer: optax.GradientTransformation, layout: Layout, seed: int) -> TrainState:
    """Create the state already sharded; the values do not depend on the layout."""
    shardings = state_shardings(model, optimizer, layout)
    return jax.jit(lambda: _fresh(model, optimizer, seed), out_shardings=shardings)()


def start_state(
    model: DecoderConfig, optimizer: optax.GradientTransformation, layout: Layout, params: Params
) -> TrainState:
    """Return the state before the first step on given parameters, which it takes over."""
    shardings = state_shardings(model, optimizer, layout)
    return jax.jit(partial(_unmoved, optimizer), out_shardings=shardings, donate_argnums=0)(params)
