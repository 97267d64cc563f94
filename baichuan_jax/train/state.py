"""What training carries from step to step, and how it is sharded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, init_params, param_axes, param_shapes
from baichuan_jax.parallel.layout import Layout


class Adaptation(NamedTuple):
    """What is trained in place of a model's parameters, which stay as they are.

    init: returns the fresh tree from a key. axes: its logical axes. attach: returns the parameters that the loss is
    computed with, of (frozen parameters, tree, key of a microbatch). frozen: the frozen parameters; a plan
    has them as sharded `jax.ShapeDtypeStruct`.
    """

    init: Callable[[jax.Array], Params]
    axes: Params
    attach: Callable[[Params, Params, jax.Array | None], Params]
    frozen: Params


class TrainState(NamedTuple):
    """step: optimizer steps done (int32). params: float32 master weights. optimizer: optax state."""

    step: jax.Array
    params: Params
    optimizer: Any


class ShardedState:
    """The train state of one model and optimizer on one mesh.

    shardings, abstract: the state as shardings, and as sharded `jax.ShapeDtypeStruct` to restore a checkpoint into.
    Both are derived once from the logical axes of the parameters; optimizer moments follow their parameter. Raise
    UserError if a parameter does not divide over its mesh axes.

    adaptation: what is trained in place of the model's parameters; None trains these.
    """

    def __init__(
        self,
        model_cfg: DecoderConfig,
        optimizer: optax.GradientTransformation,
        layout: Layout,
        adaptation: Adaptation | None = None,
    ):
        self._optimizer, self.adaptation, self._platform = optimizer, adaptation, layout.platform
        self._init_params = adaptation.init if adaptation else lambda key: init_params(model_cfg, key)
        shapes = jax.eval_shape(lambda: self._fresh(0))
        params = layout.shardings(adaptation.axes if adaptation else param_axes(model_cfg), shapes.params)
        masked = lambda node: isinstance(node, optax.MaskedNode)  # of a parameter that another update rule has
        moments = optax.tree_utils.tree_map_params(
            optimizer,
            lambda moment, sharding: moment if masked(moment) else sharding,
            shapes.optimizer,
            params,
            transform_non_params=lambda _: layout.replicated,
            is_leaf=masked,
        )
        self.shardings = TrainState(layout.replicated, params, moments)
        self.abstract = placed(shapes, self.shardings)

    def init(self, seed: int) -> TrainState:
        """Return the state of fresh parameters, created sharded; the values do not depend on the layout."""
        # It runs once: with less of LLVM's work it is there in a third of the time, with the same bits.
        options = {"xla_backend_optimization_level": 1} if self._platform == "cpu" else None
        return jax.jit(lambda: self._fresh(seed), out_shardings=self.shardings, compiler_options=options)()

    def start(self, params: Params) -> TrainState:
        """Return the state before the first step on given parameters, which it takes over."""
        return jax.jit(self._before_first_step, out_shardings=self.shardings, donate_argnums=0)(params)

    def _fresh(self, seed: int) -> TrainState:
        return self._before_first_step(self._init_params(jax.random.key(seed)))

    def _before_first_step(self, params: Params) -> TrainState:
        return TrainState(jnp.zeros((), jnp.int32), params, self._optimizer.init(params))


def abstract_params(model_cfg: DecoderConfig, layout: Layout) -> Params:
    """Return the parameters alone as sharded `jax.ShapeDtypeStruct`."""
    shapes = param_shapes(model_cfg)
    return placed(shapes, layout.shardings(param_axes(model_cfg), shapes))


def placed(shapes: Any, shardings: Any) -> Any:
    """Return a tree of shapes with their shardings."""
    place = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    return jax.tree.map(place, shapes, shardings)
