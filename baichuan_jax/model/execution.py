"""The execution plan of a program, and the batch.

B sequences, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.experimental.layout import Layout as DeviceLayout
from jax.experimental.layout import with_layout_constraint

from baichuan_jax.model.storage import Adapted, QArray, StoredWeight, multiply_stored
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.weights import STRATEGIES, Sharded, WeightStrategy


class Batch(NamedTuple):
    """Sequences to train on or to score; every field except `tokens` is optional.

    tokens, targets: ids, int32 [B, T]; a target is the id after its token. weights: how much each target counts in the
    loss, float32 [B, T]; absent: 1. segments: number of the document of each token, int32 [B, T]; tokens attend within
    their own. positions: of each token in its sequence, int32 [B, T]; absent: 0 to T - 1. domains: number of the domain
    of each sequence, int32 [B].
    """

    tokens: jax.Array
    targets: jax.Array | None = None
    weights: jax.Array | None = None
    segments: jax.Array | None = None
    positions: jax.Array | None = None
    domains: jax.Array | None = None


FLOAT32 = jnp.dtype(jnp.float32)


@dataclass(frozen=True)
class Execution:
    """The execution plan: made once by train, plan, generate and evaluate, and passed as one argument.

    dtype: of activations and matrix products. layout: mesh and axis rules; None on one device. weights: how gradients
    of FSDP-sharded weights are summed. logits_bytes: limit of the logits of a chunk of the loss per device.
    inner_bytes: limit of an inner activation of a feed-forward layer; 0: none. domains: number of domains with separate
    sums of the loss. unroll: iterations of the loop over the layers that are compiled as one.
    """

    dtype: jnp.dtype = FLOAT32
    layout: Layout | None = None
    weights: WeightStrategy = "xla"
    logits_bytes: int = 2**28
    inner_bytes: int = 0
    domains: int = 0
    unroll: int = 1

    @property
    def platform(self) -> str:
        """cpu, gpu or tpu."""
        return jax.default_backend() if self.layout is None else self.layout.platform

    @property
    def by_rows(self) -> Execution:
        """The plan for evaluation and generation: sequences have any length and are not split over devices."""
        return replace(self, layout=self.layout and self.layout.by_rows, weights="xla", inner_bytes=0, domains=0)

    @property
    def splits_length(self) -> bool:
        """Whether the tokens of a sequence are split over devices."""
        return self.layout is not None and self.layout.num_shards("length") > 1

    def constrain(self, x: jax.Array, *axes: str) -> jax.Array:
        """Tell the compiler how an activation with these logical axes is sharded."""
        return x if self.layout is None else self.layout.constrain(x, *axes)

    @property
    def to_float32(self) -> bool:
        """Whether products of bfloat16 are computed to float32, and then rounded.

        XLA for CPU multiplies bfloat16 at twice the rate of float32, where the processor can, only to float32.
        """
        return self.dtype == jnp.bfloat16 and self.platform == "cpu"

    def matmul(self, x: jax.Array, weight: nnx.Param, axes: int = 1) -> jax.Array:
        """Return x [..., *in] times a weight [*in, *out], in the dtype of x; `in` has `axes` axes."""
        value = weight.get_value()
        if isinstance(value, Adapted):
            return _multiply_adapted(x, value, axes, self.to_float32)
        reduction = None
        if self.weights != "xla":
            reduction = self.weights, Sharded(self.layout, weight.get_metadata("axes"))
        return matmul(x, weight[...].astype(x.dtype), axes, reduction, self.to_float32)


def _multiply_adapted(x: jax.Array, weight: Adapted, axes: int, to_float32: bool) -> jax.Array:
    """Return x times the frozen weight, and what the adapter adds."""
    multiply = _multiply if isinstance(weight.weight, QArray) else matmul
    kept = x
    if weight.key is not None:
        keeps = jax.random.bernoulli(weight.key, 1 - weight.drop, x.shape)
        kept = jnp.where(keeps, x / (1 - weight.drop), 0).astype(x.dtype)
    low = matmul(kept, weight.down.astype(x.dtype), axes)
    added = weight.scale * matmul(low, weight.up.astype(x.dtype))
    return multiply(x, weight.weight.astype(x.dtype), axes, to_float32=to_float32) + added


Reduction = tuple[WeightStrategy, Sharded] | None


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def matmul(
    x: jax.Array, weight: StoredWeight, axes: int = 1, reduction: Reduction = None, to_float32: bool = False
) -> jax.Array:
    """Return x [..., *in] times a weight [*in, *out], [..., *out]; `in` has `axes` axes.

    reduction: how the gradient of the weight is summed over devices; None leaves it to XLA. to_float32: of the
    execution plan.

    The gradients are those of autodiff, except that the weight's is computed as x^T dy, not as the transpose of dy^T x.
    XLA for CPU transposes the left factor in memory, and dy is the wider one. int8 weights have no gradient.
    """
    return _multiply(x, weight, axes, to_float32)


def _multiply(x: jax.Array, weight: StoredWeight, axes: int, to_float32: bool) -> jax.Array:
    return multiply_stored(x, weight, axes) if isinstance(weight, QArray) else _product(x, weight, axes, to_float32)


def _product(x: jax.Array, y: jax.Array, axes: int | tuple, to_float32: bool) -> jax.Array:
    """Return the tensor product summed over `axes`, as `jnp.tensordot` has them, in the dtype of the factors."""
    if not to_float32:
        return jnp.tensordot(x, y, axes)
    return row_major(jnp.tensordot(x, y, axes, preferred_element_type=FLOAT32)).astype(x.dtype)


def row_major(x: jax.Array) -> jax.Array:
    """Pin the layout of a factor or a product of `to_float32`.

    XLA for CPU would fold a transpose into the product, and then multiply in float32, or fail as the program runs.
    """
    return with_layout_constraint(x, DeviceLayout(tuple(range(x.ndim))))


def _matmul_gradients(
    axes: int, reduction: Reduction, to_float32: bool, saved: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    leading, out = tuple(range(x.ndim - axes)), weight.ndim - axes
    to_x = (tuple(range(dy.ndim - out, dy.ndim)), tuple(range(axes, weight.ndim)))
    if reduction is None:
        dweight = _product(x, dy, (leading, leading), to_float32)
    else:
        strategy, sharded = reduction
        dweight = STRATEGIES[strategy](x, dy, sharded)
    return _product(dy, weight, to_x, to_float32), dweight


# The remat policy looks for matrix products, and not inside functions with gradients of their own.
matmul.defvjp(
    lambda x, weight, axes, reduction, to_float32: (_multiply(x, weight, axes, to_float32), (x, weight)),
    _matmul_gradients,
)
