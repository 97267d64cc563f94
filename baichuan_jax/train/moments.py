"""Adam's moments in bfloat16: computed in float32, and rounded at random to one of the two nearest values.

Rounded to the nearest, a moment that changes by less than 1/512 of itself in a step does not change at all, and stays
where it is. Rounded up with the probability that makes the mean right it drifts as it should (stochastic rounding:
Gupta et al., arXiv 1502.02551; of the optimizer's state in bfloat16: Zamirai et al., arXiv 2010.06192).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

LOW = np.uint32(0xFFFF)  # the bits of a float32 that a bfloat16 has not


def in_bfloat16(adam: optax.GradientTransformation, seed: int | None) -> optax.GradientTransformation:
    """Return `adam`, of state (count, mu, nu), with mu and nu kept in bfloat16.

    The random bits are a function of (seed, count, place), whatever devices there are. seed: None rounds to nearest.
    """

    def init(params: optax.Params) -> Any:
        return _cast(adam.init(params), jnp.bfloat16)

    def update(grads: optax.Updates, state: Any, params: optax.Params | None = None) -> tuple[optax.Updates, Any]:
        updates, new = adam.update(grads, _cast(state, jnp.float32), params)
        if seed is None:
            return updates, _cast(new, jnp.bfloat16)
        key = jax.random.fold_in(jax.random.key(seed), new.count)
        moments, tree = jax.tree.flatten(new.mu)
        keys = jax.tree.unflatten(tree, jax.random.split(key, len(moments)))
        bits = jax.tree.map(lambda key, moment: jax.random.bits(key, moment.shape, jnp.uint32), keys, new.mu)
        # Half of the bits serve one moment and half the other.
        mu = jax.tree.map(lambda x, bits: stochastic_round(x, bits & LOW), new.mu, bits)
        nu = jax.tree.map(lambda x, bits: stochastic_round(x, bits >> 16), new.nu, bits)
        return updates, new._replace(mu=mu, nu=nu)

    return optax.GradientTransformation(init, update)


def stochastic_round(x: jax.Array, bits: jax.Array) -> jax.Array:
    """Round float32 to bfloat16 by uniform 16-bit integers: x itself on average.

    A bfloat16 is the upper half of a float32, so a carry out of the lower half is a step to the next value, away from
    zero, and is as likely as x is far on its way there.
    """
    carried = jax.lax.bitcast_convert_type(x, jnp.uint32) + bits
    return jax.lax.bitcast_convert_type(carried & ~LOW, jnp.float32).astype(jnp.bfloat16)


def _cast(state: Any, dtype: jnp.dtype) -> Any:
    cast = lambda moments: jax.tree.map(lambda x: x.astype(dtype), moments)
    return state._replace(mu=cast(state.mu), nu=cast(state.nu))
