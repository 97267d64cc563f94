"""What every part of the decoder is made with. B batch, T positions."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from qwix import QArray

from baichuan_jax.model.positions import Positions
from baichuan_jax.model.spread import Sending, Spread, reduced
from baichuan_jax.parallel.layout import Layout


class Context(NamedTuple):
    """What every block of one forward pass shares.

    rotations: of queries and keys, where the scheme rotates them. inner_bytes: most that an array of the inner width of
    a feed-forward layer takes on a device; 0 does not cut it. sending: who sends kernels.
    """

    positions_BT: jax.Array
    scheme: Positions
    rotations: tuple[jax.Array, jax.Array] | None
    layout: Layout | None
    inner_bytes: int = 0
    sending: Sending = "compiler"

    def constrain(self, x: jax.Array, *axes: str) -> jax.Array:
        """States the layout of an activation, where there is one."""
        return x if self.layout is None else self.layout.constrain(x, *axes)

    def product(self, x: jax.Array, kernel: nnx.Param, axes: int = 1, late: bool = False) -> jax.Array:
        """Return `product` of x with a kernel. late: as in `Spread`, where kernels are sent ahead."""
        spread = None
        if self.sending != "compiler":
            spread = Spread(self.layout, kernel.get_metadata("axes"), late and self.sending == "ahead")
        return product(x, kernel[...].astype(x.dtype), axes, spread)


def weight(rngs: nnx.Rngs, std: float, **axes: int) -> nnx.Param:
    """Return a weight of normal(0, std) whose axes are given as name=size, in order."""
    return nnx.Param(std * jax.random.normal(rngs.params(), tuple(axes.values())), axes=tuple(axes))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def product(x: jax.Array, kernel: jax.Array | QArray, axes: int = 1, spread: Spread | None = None) -> jax.Array:
    """Return x [..., *in] times a kernel [*in, *out], [..., *out]; `in` has so many axes.

    spread: how the kernel's gradient is summed over devices, where the compiler is not left to do it.

    What autodiff would do, but for the order of the kernel's gradient: x^T dy, not the transpose of dy^T x. XLA for CPU
    transposes the left factor in memory, and dy is the wider and computed for it once more. A kernel of integers has no
    gradient; its scales are those of outputs, and are applied to them.
    """
    return _multiply(x, kernel, axes)


def _multiply(x: jax.Array, kernel: jax.Array | QArray, axes: int) -> jax.Array:
    if isinstance(kernel, QArray):
        y = jnp.tensordot(x, kernel.qvalue.astype(x.dtype), axes)
        return y * kernel.scale.reshape(kernel.shape[axes:]).astype(x.dtype)
    return jnp.tensordot(x, kernel, axes)


def _product_gradients(
    axes: int, spread: Spread | None, kept: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    leading, out = tuple(range(x.ndim - axes)), kernel.ndim - axes
    to_x = (tuple(range(dy.ndim - out, dy.ndim)), tuple(range(axes, kernel.ndim)))
    to_kernel = jnp.tensordot(x, dy, (leading, leading)) if spread is None else reduced(x, dy, spread)
    return jnp.tensordot(dy, kernel, to_x), to_kernel


# `_multiply` and not `product`: what decides which results to keep looks for products, and not into functions.
product.defvjp(lambda x, kernel, axes, spread: (_multiply(x, kernel, axes), (x, kernel)), _product_gradients)
