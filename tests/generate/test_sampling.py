import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate import sampling as samplers
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.sampling import Sampling, most_probable, penalise

# Compiled once for a shape: run operation by operation, a draw takes a tenth of a second.
choose, truncate = jax.jit(samplers.choose), jax.jit(samplers.truncate)


def sampling(rows: int, temperature=1.0, top_k=0, top_p=1.0, penalty=1.0) -> Sampling:
    fill = lambda value, kind: np.full(rows, value, kind)
    return Sampling(
        fill(temperature, np.float32),
        fill(top_k, np.int32),
        fill(top_p, np.float32),
        fill(penalty, np.float32),
        np.arange(rows, dtype=np.uint32),
    )


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    logits = jnp.log(jnp.array([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]]))
    kept = np.isfinite(truncate(logits, np.zeros(2, np.int32), np.array([0.7, 0.7], np.float32)))
    np.testing.assert_array_equal(kept, [[False, True, False, True], [True, False, False, False]])
    np.testing.assert_array_equal(truncate(logits, np.zeros(2, np.int32), np.ones(2, np.float32)), logits)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 70), st.floats(0.05, 1), st.floats(0.1, 8))
def test_truncation_by_bisection_equals_that_by_sorting(seed, top_k, top_p, scale):
    """As transformers does it: top-k first, then the nucleus of what is left."""
    logits = (scale * np.random.default_rng(seed).normal(size=64)).astype(np.float32)
    kept = np.isfinite(truncate(logits[None], np.array([top_k]), np.array([top_p], np.float32)))[0]
    order = np.argsort(-logits)[: top_k or None]
    p = np.exp(logits[order].astype(np.float64) - logits.max())
    reached = np.cumsum(p / p.sum())
    if np.abs(reached - top_p).min() > 1e-6:  # else rounding decides
        by_sorting = order[: np.searchsorted(reached, top_p) + 1]
        np.testing.assert_array_equal(np.flatnonzero(kept), np.sort(by_sorting))


def test_the_penalty_moves_seen_tokens_down_on_both_sides_of_zero():
    seen = np.array([[True, True, False, False]])
    got = penalise(np.array([[2.0, -2.0, 2.0, -2.0]]), seen, np.array([1.25]))
    np.testing.assert_allclose(got, [[1.6, -2.5, 2.0, -2.0]])


def test_draws_follow_the_probabilities():
    rows = 20_000
    logits, seen, number = jnp.tile(jnp.log(jnp.array([0.1, 0.2, 0.7])), (rows, 1)), np.zeros((rows, 3), bool), 0
    count = lambda settings: np.bincount(choose(logits, seen, np.full(rows, number), settings), minlength=3) / rows
    np.testing.assert_allclose(count(sampling(rows)), [0.1, 0.2, 0.7], atol=0.01)
    np.testing.assert_allclose(count(sampling(rows, temperature=0.5)), np.array([1, 4, 49]) / 54, atol=0.01)
    np.testing.assert_allclose(count(sampling(rows, top_k=2)), np.array([0, 2, 7]) / 9, atol=0.01)
    np.testing.assert_array_equal(count(sampling(rows, temperature=0)), [0, 0, 1])


BAD = {"temperature": -1.0, "top_k": -1, "top_p": 0.0, "repetition_penalty": 0.0, "stop": ("",), "max_tokens": 0}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_settings_out_of_range(name, value):
    with pytest.raises(UserError, match=f"SampleConfig.{name} = "):
        SampleConfig(**{name: value})


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 37]), st.integers(1, 4))
def test_the_most_probable_is_the_first_of_equals(seed, vocab, values):
    logits = np.random.default_rng(seed).integers(-values, values, (3, 2, vocab)).astype(np.float32)
    assert most_probable(logits).tolist() == np.argmax(logits, axis=-1).tolist()


def test_a_logit_that_is_no_number_gives_a_token_of_the_vocabulary():
    assert most_probable(jnp.array([[0.0, jnp.nan, 1.0]])).tolist() == [2]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1e-9, 1e-38, 1e-45, 1e-300]), st.sampled_from([0.7, 5.0]))
def test_next_to_nothing_of_the_nucleus_is_greedy(seed, top_p, temperature):
    """Also where float32 has no such number."""
    logits = np.random.default_rng(seed).normal(size=(4, 50)).astype(np.float32) * 5
    settings = sampling(4, temperature=temperature, top_p=top_p)
    chosen = choose(logits, np.zeros((4, 50), bool), np.zeros(4, np.int32), settings)
    assert chosen.tolist() == np.argmax(logits, axis=-1).tolist()


@pytest.mark.parametrize("temperature", [1e-6, 1e-30, 1e-38, 1e-45])
def test_next_to_no_temperature_is_greedy(temperature):
    logits = np.array([[3.0, 900.0, -1e9, 899.0], [-5.0, -6.0, -4.0, -1e30]], np.float32)
    settings = sampling(2, temperature=temperature)
    assert choose(logits, np.zeros((2, 4), bool), np.zeros(2, np.int32), settings).tolist() == [1, 2]
