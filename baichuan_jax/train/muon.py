"""Muon: the momentum of weight matrices is orthogonalised (Jordan, 2024; Liu et al., arXiv 2502.16982)."""

from __future__ import annotations

from math import prod

import jax
import optax
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from baichuan_jax.model.decoder import Params

UPDATE_RMS = 0.2  # of an update before the rate, about that of AdamW, whose rates and decay then serve (2502.16982)


def muon_for_matrices(axes: Params, others: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return Muon for the weight matrices of the blocks, and `others` for token table, head and norms.

    axes: logical axes of the parameters. Blocks are stacked: each layer's matrix is orthogonalised by itself, all heads
    of a query, key or value matrix as one.
    """
    leaf = lambda node: isinstance(node, tuple)
    sides = {name: jax.tree.map(_sides if name == "blocks" else _no_matrix, axes[name], is_leaf=leaf) for name in axes}
    labels = jax.tree.map(
        lambda side: "muon" if isinstance(side, MuonDimensionNumbers) else "others", sides, is_leaf=leaf
    )

    def same_rms(updates: optax.Updates, _: optax.Params | None) -> optax.Updates:
        """Scale a matrix of singular values about 1, whose root mean square is 1 / sqrt(its longer side)."""
        scale = lambda side, x: UPDATE_RMS * max(prod(x.shape[k] for k in axes) for axes in side) ** 0.5 * x
        masked = lambda side: isinstance(side, optax.MaskedNode)
        return jax.tree.map(lambda side, x: x if masked(side) else scale(side, x), sides, updates, is_leaf=leaf)

    muon = optax.chain(scale_by_muon(weight_dimension_numbers=sides), optax.stateless(same_rms))
    return optax.partition({"muon": muon, "others": others}, labels)


def _sides(names: tuple[str, ...]) -> MuonDimensionNumbers | optax.MaskedNode:
    """Return which axes of a parameter are the inputs and the outputs of a matrix, if it is one."""
    if "embed" not in names:
        return optax.MaskedNode()
    last = len(names) - 1
    if names[last] == "embed":
        return MuonDimensionNumbers(tuple(range(1, last)), (last,))
    return MuonDimensionNumbers((1,), tuple(range(2, last + 1)))


def _no_matrix(_: tuple[str, ...]) -> optax.MaskedNode:
    return optax.MaskedNode()
