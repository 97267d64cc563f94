import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import init_params, param_axes
from baichuan_jax.train.config import OptimConfig
from baichuan_jax.train.optim import decayed, make_optimizer, schedule
from tests.train.small import MODEL


def rates(steps: int, warmup: int, final: float = 0.1, **settings) -> np.ndarray:
    rate = schedule(OptimConfig(peak_lr=1.0, warmup_steps=warmup, final_lr_ratio=final, **settings), steps)
    return np.array([float(rate(step)) for step in range(steps)])


def test_warm_up_then_cosine():
    found = rates(110, 10)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 10, rtol=1e-5)
    cosine = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * np.arange(101) / 100))
    np.testing.assert_allclose(found[9:], cosine, rtol=1e-5)


@settings(max_examples=15)
@given(st.integers(2, 60), st.data(), st.sampled_from([0.0, 0.1, 0.5]))
def test_one_peak_and_the_final_rate_at_the_last_step(steps, data, final):
    warmup = data.draw(st.integers(0, steps - 1))
    found = rates(steps, warmup, final)
    peak = max(0, warmup - 1)
    assert np.flatnonzero(found == 1.0).tolist() == [peak]
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) < 0).all()
    assert found[-1] == pytest.approx(final, abs=1e-6)
    assert found[0] > 0


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "wsd"])
def test_a_single_step_has_the_peak(schedule):
    assert rates(1, 0, schedule=schedule).tolist() == [1.0]


def test_linear_and_constant():
    np.testing.assert_allclose(rates(110, 10, schedule="linear")[9:], np.linspace(1, 0.1, 101), rtol=1e-5)
    np.testing.assert_allclose(rates(110, 10, schedule="linear")[:10], rates(110, 10)[:10])
    assert (rates(110, 10, schedule="constant")[9:] == 1.0).all()


def test_wsd_is_stable_and_then_falls_by_a_square_root():
    found = rates(100, 10, schedule="wsd", decay_share=0.25)
    assert (found[9:75] == 1.0).all()
    np.testing.assert_allclose(found[75:], 1 - 0.9 * np.sqrt(np.arange(1, 26) / 25), rtol=1e-5)


def test_wsd_of_two_horizons_agree_where_both_are_stable():
    np.testing.assert_array_equal(rates(100, 10, schedule="wsd")[:80], rates(300, 10, schedule="wsd")[:80])


def test_a_warm_up_into_the_decay_is_refused():
    with pytest.raises(UserError, match=r"OptimConfig.warmup_steps = 81: expected at most 80, the step from which"):
        rates(100, 81, schedule="wsd")


def test_decay_is_on_matrices_and_not_on_norms():
    mask = decayed(param_axes(MODEL))
    assert mask["head"] == {"norm": {"scale": False}, "kernel": True}
    assert mask["embed"] == {"table": True}
    assert not mask["blocks"]["mlp_norm"]["scale"]
    assert all(mask["blocks"]["attention"].values())


def test_one_update_against_adamw_by_hand():
    """First step of Adam on gradient g: the bias-corrected ratio is g / (|g| + eps), so -rate * (sign + decay * w)."""
    cfg = OptimConfig(peak_lr=1e-2, warmup_steps=0, clip=1e9, weight_decay=0.1)
    params = init_params(MODEL, jax.random.key(0))
    grads = jax.tree.map(lambda x: jnp.full(x.shape, 3.0), params)
    optimizer = make_optimizer(cfg, 10, param_axes(MODEL))
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["head"]["kernel"], -1e-2 * (1 + 0.1 * params["head"]["kernel"]), rtol=1e-5)
    np.testing.assert_allclose(updates["head"]["norm"]["scale"], -1e-2, rtol=1e-5)


def test_clipping_is_by_the_global_norm():
    cfg = OptimConfig(peak_lr=1.0, warmup_steps=0, clip=1.0, b1=0.0, b2=0.0, eps=1e6, weight_decay=0.0)
    params = init_params(MODEL, jax.random.key(0))
    grads = jax.tree.map(lambda x: jnp.full(x.shape, 7.0), params)
    optimizer = make_optimizer(cfg, 10, param_axes(MODEL))
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    # With eps far above every gradient, the update is -g / eps: its norm shows the clipped gradient's.
    norm = np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(updates)))
    assert norm == pytest.approx(1e-6, rel=1e-3)
