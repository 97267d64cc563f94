"""What the layers of the decoder share: weights with named axes, and the context of one forward pass.

B batch, T positions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from flax import nnx

from baichuan_jax.model.execution import Execution
from baichuan_jax.model.positions import Positions


class Context(NamedTuple):
    """One forward pass. rotations: cos and sin of queries and keys, where the position scheme rotates them.

    segments_BT: number of the document of each token, or None: every sequence is one document.
    """

    exe: Execution
    positions_BT: jax.Array
    segments_BT: jax.Array | None
    scheme: Positions
    rotations: tuple[jax.Array, jax.Array] | None


def weight(rngs: nnx.Rngs, std: float, **axes: int) -> nnx.Param:
    """Return a weight of normal(0, std) whose axes are given as name=size, in order."""
    return nnx.Param(std * jax.random.normal(rngs.params(), tuple(axes.values())), axes=tuple(axes))
