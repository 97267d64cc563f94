"""What every part of the decoder is made with. B batch, T positions."""

from __future__ import annotations

from typing import NamedTuple

import jax
from flax import nnx

from baichuan_jax.model.positions import Positions
from baichuan_jax.parallel.layout import Layout


class Context(NamedTuple):
    """What every block of one forward pass shares.

    rotations: of queries and keys, where the scheme rotates them. inner_bytes: most that an array of the inner width of
    a feed-forward layer takes on a device; 0 does not cut it.
    """

    positions_BT: jax.Array
    scheme: Positions
    rotations: tuple[jax.Array, jax.Array] | None
    layout: Layout | None
    inner_bytes: int = 0

    def constrain(self, x: jax.Array, *axes: str) -> jax.Array:
        """States the layout of an activation, where there is one."""
        return x if self.layout is None else self.layout.constrain(x, *axes)


def weight(rngs: nnx.Rngs, std: float, **axes: int) -> nnx.Param:
    """A weight of normal(0, std) whose axes are given as name=size, in order."""
    return nnx.Param(std * jax.random.normal(rngs.params(), tuple(axes.values())), axes=tuple(axes))
