import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.model.decoder import param_axes
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.moments import in_bfloat16, stochastic_round
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from tests.train.small import MODEL, layout, learnable

numbers = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
every_bit = jnp.arange(2**16, dtype=jnp.uint32)


@settings(max_examples=50)
@given(numbers)
def test_rounding_is_to_a_neighbour_and_right_on_average(x):
    """Over all of the 2**16 equally likely bits, so exactly; NumPy's bfloat16 gives the neighbours."""
    rounded = np.asarray(stochastic_round(jnp.full(2**16, x, jnp.float32), every_bit), np.float64)
    assert len(set(rounded)) <= 2
    step = np.ptp(rounded) or abs(x) * 2.0**-7
    assert rounded.mean() == pytest.approx(x, abs=1e-9 * step, rel=1e-12)
    assert np.abs(rounded - x).max() <= abs(x) * 2.0**-7
    nearest = float(jnp.bfloat16(x))
    assert nearest in set(rounded)


def test_what_a_bfloat16_can_hold_stays():
    held = jnp.array([0.0, -0.0, 1.0, -3.5, 2.0**-100, jnp.inf, -jnp.inf])
    rounded = stochastic_round(held, jnp.full(held.shape, 0xFFFF, jnp.uint32)).astype(jnp.float32)
    np.testing.assert_array_equal(rounded, held)
    assert jnp.isnan(stochastic_round(jnp.float32(jnp.nan), jnp.uint32(0xFFFF)))


def mean_moment(seed: int | None) -> float:
    """Return the second moment of gradients of 1, from 0.5 on, after 400 steps of b2 = 0.999."""
    adam = in_bfloat16(optax.scale_by_adam(b2=0.999), seed)
    params = {"w": jnp.zeros(4096)}
    state = adam.init(params)
    state = state._replace(nu={"w": jnp.full(4096, 0.5, jnp.bfloat16)})
    grads = {"w": jnp.ones(4096)}
    state, _ = jax.lax.scan(lambda state, _: (adam.update(grads, state)[1], None), state, length=400)
    assert state.nu["w"].dtype == jnp.bfloat16
    return float(state.nu["w"].astype(jnp.float32).mean())


def test_small_changes_are_lost_to_the_nearest_and_kept_at_random():
    right = 1 - 0.5 * 0.999**400
    assert mean_moment(None) == 0.5
    assert mean_moment(0) == pytest.approx(right, rel=2e-3)


def test_training_keeps_them_in_half_the_memory_beside_their_parameters():
    cfg, lay = TrainConfig(steps=6, batch=8, length=16), layout(2, fsdp=2)
    optimizer, full = (
        make_optimizer(OptimConfig(peak_lr=1e-2, warmup_steps=2, moments=moments), cfg.steps, param_axes(MODEL))
        for moments in ("bfloat16", "float32")
    )
    sharded = ShardedState(MODEL, optimizer, lay)
    state, step = sharded.init(0), make_step(cfg, MODEL, optimizer, sharded, make_execution(cfg, MODEL, lay))
    losses = []
    for number in range(cfg.steps):
        state, values = step(state, place(lay, learnable(8, 16, number)))
        losses.append(float(values["loss"]))
    assert losses[-1] < losses[0] - 0.1
    adam, kept = state.optimizer[1][0], ShardedState(MODEL, full, lay).abstract.optimizer[1][0]
    size = lambda adam: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((adam.mu, adam.nu)))
    assert size(adam) * 2 == size(kept)
    same = lambda moment, param: moment.sharding.is_equivalent_to(param.sharding, param.ndim)
    assert all(jax.tree.leaves(jax.tree.map(same, adam.mu, state.params)))
    assert all(jax.tree.leaves(jax.tree.map(same, adam.nu, state.params)))


def moments(seed: int, steps: int, axes: tuple[str, ...] = ()) -> np.ndarray:
    """Both moments after so many steps, on one device or split by logical axes over eight."""
    grads = jax.random.normal(jax.random.key(0), (64, 32))
    if axes:
        grads = jax.device_put(grads, layout(8, fsdp=4, tensor=2).sharding(axes))
    adam = in_bfloat16(optax.scale_by_adam(), seed)
    state = adam.init(grads)
    for _ in range(steps):
        state = jax.jit(adam.update)(grads, state)[1]
    assert state.mu.sharding.is_equivalent_to(grads.sharding, 2)
    return np.stack([np.asarray(moment, np.float32) for moment in (state.mu, state.nu)])


def test_the_bits_are_those_of_the_seed_and_the_step_on_any_mesh():
    np.testing.assert_array_equal(moments(0, 3, ("embed", "mlp")), moments(0, 3))
    assert not np.array_equal(moments(1, 3), moments(0, 3))
    grads = jax.random.normal(jax.random.key(0), (64, 32))
    first, second = moments(0, 1)[0] / 0.1, (moments(0, 2)[0] - 0.9 * moments(0, 1)[0]) / 0.1
    errors = np.corrcoef(np.ravel(first - grads), np.ravel(second - grads))[0, 1]
    assert abs(errors) < 0.2, "the same bits in two steps"
