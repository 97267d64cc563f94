import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.model.attention.patterns import PATTERNS, pairs
from baichuan_jax.model.attention.xla import Scores, attend
from baichuan_jax.model.config import AttentionConfig
from tests.model.variants import decoder, sees

SPARSE = [name for name in PATTERNS if name != "full"]


def settings_of(pattern: str, window: int, summary: int) -> AttentionConfig:
    return AttentionConfig(pattern=(pattern,), window=window, summary=min(summary, window) if pattern == "fixed" else 0)


@settings(max_examples=12, deadline=None)  # each is compiled
@given(
    pattern=st.sampled_from(SPARSE),
    length=st.integers(1, 40),
    window=st.integers(1, 12),
    summary=st.integers(1, 12),
    heads=st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 2)]),
    alibi=st.booleans(),
    soft_cap=st.sampled_from([0.0, 1.0]),
    scale=st.sampled_from([1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_sparse_attention_is_dense_attention_under_its_mask(
    pattern, length, window, summary, heads, alibi, soft_cap, scale, seed
):
    """Forward and backward, also where scores are so large that a softmax without its maximum would overflow."""
    cfg, rng = settings_of(pattern, window, summary), np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal((2, length, *shape)).astype(np.float32)
    q, k, v, y = draw(*heads, 4) * scale, draw(heads[0], 4), draw(heads[0], 4), draw(*heads, 4)
    slopes = rng.random(heads).astype(np.float32) if alibi else None
    mask = sees(decoder(attention=cfg), 0, length)
    at = np.arange(length)

    @jax.jit
    def both(q, k, v, y):
        scores = Scores(soft_cap, slopes)
        dense, dense_vjp = jax.vjp(lambda q, k, v: attend(q, k, v, mask, at[:, None] - at, scores), q, k, v)
        sparse, sparse_vjp = jax.vjp(lambda q, k, v: PATTERNS[pattern].attend(q, k, v, cfg, scores, None), q, k, v)
        return (dense, *dense_vjp(y)), (sparse, *sparse_vjp(y))

    for reference, ours in zip(*both(q, k, v, y)):
        np.testing.assert_allclose(ours, reference, atol=2e-6 * scale, rtol=1e-5)


@given(st.sampled_from(list(PATTERNS)), st.integers(1, 60), st.integers(1, 12), st.integers(1, 12))
def test_pairs_are_counted(pattern, length, window, summary):
    cfg = AttentionConfig() if pattern == "full" else settings_of(pattern, window, summary)
    assert pairs(pattern, length, cfg) == sees(decoder(attention=cfg), 0, length).sum()


@pytest.mark.parametrize("pattern", SPARSE)
def test_memory_grows_with_the_pattern(pattern):
    """From 2,048 to 8,192 positions, forward and backward; dense scores alone would take 16 times as much."""
    cfg = settings_of(pattern, 64, 1)

    def temporaries(length: int, attention) -> int:
        shape = jax.ShapeDtypeStruct((1, length, 1, 2, 16), jnp.float32)
        shared = jax.ShapeDtypeStruct((1, length, 1, 16), jnp.float32)
        loss = lambda q, k, v: attention(q, k, v, cfg, Scores(0.0, None), None).sum()
        compiled = jax.jit(jax.grad(loss, (0, 1, 2))).lower(shape, shared, shared).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    seen = [pairs(pattern, length, cfg) for length in (2048, 8192)]
    used = [temporaries(length, PATTERNS[pattern].attend) for length in (2048, 8192)]
    assert used[1] / used[0] < 1.2 * seen[1] / seen[0] < 10
    assert used[1] < temporaries(8192, PATTERNS["full"].attend) / 8
