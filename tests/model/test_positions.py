import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.attention.xla import Scores
from baichuan_jax.model.config import PositionConfig
from baichuan_jax.model.decoder import apply, init_params
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.positions import SCALINGS, Sinusoidal, alibi_slopes, attention_factor, rotate, rotations
from tests.model.variants import decoder, distinct_tokens

SCALED = {
    "none": PositionConfig(),
    "linear": PositionConfig(scaling="linear", factor=4.0),
    "ntk": PositionConfig(scaling="ntk", factor=4.0),
    "yarn": PositionConfig(scaling="yarn", factor=4.0, original_context=64),
    "llama3": PositionConfig(scaling="llama3", factor=8.0, original_context=64, fast=4.0),
}


@settings(max_examples=30, deadline=None)
@given(
    scaling=st.sampled_from(list(SCALINGS)),
    distance=st.integers(0, 500),
    shift=st.integers(0, 2000),
    seed=st.integers(0, 2**32 - 1),
)
def test_rotary_scores_depend_on_distance_only(scaling, distance, shift, seed):
    q, k = np.random.default_rng(seed).standard_normal((2, 1, 1, 1, 32)).astype(np.float32)

    def score(at_q: int, at_k: int) -> float:
        turn = lambda x, at: rotate(jnp.array(x), rotations(jnp.array([[at]]), 32, SCALED[scaling]))
        return float(jnp.sum(turn(q, at_q) * turn(k, at_k)))

    # Angles are float32: at position 2,500 they are known to 2e-4.
    assert score(distance + shift, shift) == pytest.approx(score(distance, 0), abs=0.02)


def test_rotary_scores_depend_on_distance():
    q = jnp.ones((1, 1, 1, 32))
    turned = [rotate(q, rotations(jnp.array([[at]]), 32, PositionConfig())) for at in range(3)]
    first, second = (float(jnp.sum(turned[0] * turned[at])) for at in (1, 2))
    assert abs(first - second) > 1


# Computed by transformers 5.23 (modeling_rope_utils) for head size 32, base 10,000; "ntk" by its "dynamic", at the
# length whose factor is 4.
STRETCHED = {
    "linear": ([0.25, 0.1405853, 0.07905694, 0.04445698, 0.025, 0.01405853], 4.445699e-05, 1.0),
    "ntk": ([1.0, 0.5126992, 0.2628605, 0.1347684, 0.06909564, 0.03542528], 4.445698e-05, 1.0),
    "yarn": ([1.0, 0.4779901, 0.2213594, 0.09780537, 0.04, 0.01405853], 4.445699e-05, 1.138629436111989),
    "llama3": ([1.0, 0.5623413, 0.2443846, 0.06430987, 0.01304226, 0.007029266], 2.222849e-05, 1.0),
}


@pytest.mark.parametrize("scaling", STRETCHED)
def test_stretched_frequencies_are_those_of_transformers(scaling):
    first, last, factor = STRETCHED[scaling]
    found = SCALINGS[scaling](SCALED[scaling], 32)
    np.testing.assert_allclose(found[:6], first, rtol=1e-6)
    np.testing.assert_allclose(found[-1], last, rtol=1e-6)
    assert attention_factor(SCALED[scaling]) == pytest.approx(factor)


def test_yarn_with_every_setting():
    cfg = PositionConfig(scaling="yarn", factor=8.0, original_context=2048, fast=16.0, slow=2.0, attention_factor=1.1)
    expected = [0.05623413, 0.02470529, 0.01000282, 0.0034375, 0.0007029267]
    np.testing.assert_allclose(SCALINGS["yarn"](cfg, 32)[5:10], expected, rtol=1e-6)
    cos, sin = rotations(jnp.array([[3]]), 32, cfg)
    np.testing.assert_allclose(cos**2 + sin**2, 1.21, rtol=1e-6)


def test_alibi_slopes_of_the_paper():
    """Section 3: 1/2, 1/4, ... for 8 heads; for 16 the geometric series from 2^-0.5."""
    assert alibi_slopes(8) == [2**-i for i in range(1, 9)]
    np.testing.assert_allclose(alibi_slopes(16), [2 ** (-i / 2) for i in range(1, 17)])
    assert alibi_slopes(1) == [2**-8]


def test_alibi_slopes_of_other_counts():
    """The convention of the paper's code, which Baichuan-13B follows with its 40 heads: 32, then 8 of the 64."""
    assert alibi_slopes(12)[:8] == alibi_slopes(8)
    np.testing.assert_allclose(alibi_slopes(12)[8:], [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])
    assert len(alibi_slopes(40)) == 40
    np.testing.assert_allclose(
        alibi_slopes(40)[:2] + alibi_slopes(40)[31:34], 2.0 ** -np.array([0.25, 0.5, 8, 0.125, 0.375])
    )


def test_alibi_takes_slope_times_distance_from_each_score():
    """Against the same decoder without positions, its scores read off a softmax over two keys."""
    q = k = jnp.zeros((1, 3, 2, 1, 4))
    distance = jnp.arange(3)[:, None] - jnp.arange(3)
    scores = Scores(0.0, jnp.array([[0.5], [0.25]]))(q, k[:, :, :, 0], distance >= 0, distance)
    np.testing.assert_allclose(scores[0, :, 0, 2], [[-1.0, -0.5, 0.0], [-0.5, -0.25, 0.0]])


def test_sinusoids_of_the_paper():
    cfg = decoder(positions=PositionConfig("sinusoidal"), hidden=8)
    found = Sinusoidal(cfg, None).vectors(jnp.array([[0, 7]]))[0] / (2**0.5 * cfg.init_std)
    expected = [f(7 / 10_000 ** (2 * i / 8)) for i in range(4) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(found, [[0, 1] * 4, expected], atol=1e-6)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rope", "alibi"])
def test_every_scheme_tells_order(kind):
    """One layer that sees the same two tokens before in either order; without positions it cannot tell."""

    def difference(kind: str) -> float:
        cfg = decoder(positions=PositionConfig(kind), layers=1)
        params = init_params(cfg, jax.random.key(0))
        ab, ba = (apply(cfg, params, Batch(jnp.array([tokens])))[0, -1] for tokens in ([5, 9, 7], [9, 5, 7]))
        return float(jnp.abs(ab - ba).max())

    assert difference(kind) > 1e-3 > 1e-5 > difference("none")


def test_learned_vectors_end_with_the_context():
    cfg = decoder(positions=PositionConfig("learned"), context=16)
    with pytest.raises(UserError, match="sequence length = 17: expected at most 16"):
        apply(cfg, init_params(cfg, jax.random.key(0)), Batch(distinct_tokens(17)))
