import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.attention import blockwise as chunked
from baichuan_jax.model.attention.implementations import KERNELS, choose, dense_band
from baichuan_jax.model.attention.scores import Scores, attend
from baichuan_jax.model.config import AttentionConfig, PositionConfig
from tests.model.variants import decoder


def drawn(rng: np.random.Generator, length: int, heads: tuple[int, int], size: int, scale: float = 1.0) -> list:
    """q, k, v and the gradient of y."""
    shapes = (*heads, size), (heads[0], size), (heads[0], size), (*heads, size)
    q, k, v, dy = (rng.standard_normal((2, length, *shape)).astype(np.float32) for shape in shapes)
    return [q * scale, k, v, dy]


def both_ways(attend, q, k, v, dy) -> tuple:
    """Return the output and the gradients."""

    @jax.jit
    def run(q, k, v, dy):
        y, vjp = jax.vjp(attend, q, k, v)
        return y, *vjp(dy)

    return run(q, k, v, dy)


@settings(max_examples=4)  # each is compiled
@given(
    length=st.integers(1, 40),
    block=st.integers(1, 16),
    heads=st.sampled_from([(1, 1), (1, 3), (2, 2)]),
    alibi=st.booleans(),
    soft_cap=st.sampled_from([0.0, 1.0]),
    scale=st.sampled_from([1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_attention_in_blocks_is_dense_attention(length, block, heads, alibi, soft_cap, scale, seed):
    """Forward and backward, also where scores are so large that a softmax without its maximum would overflow."""
    rng = np.random.default_rng(seed)
    scores = Scores(soft_cap, jnp.asarray(rng.random(heads), jnp.float32) if alibi else None)
    arrays = drawn(rng, length, heads, 4, scale)
    dense = both_ways(lambda q, k, v: KERNELS["xla"].attend(q, k, v, scores, None), *arrays)
    ours = both_ways(lambda q, k, v: chunked.attend(q, k, v, scores, block), *arrays)
    for a, b in zip(ours, dense):
        np.testing.assert_allclose(a, b, atol=3e-6 * scale, rtol=2e-5)


@pytest.mark.parametrize(("length", "band"), [(127, 127), (256, 128), (512, 128), (768, 192), (1024, 256)])
def test_bands_of_queries_see_what_all_at_once_do(length, band):
    assert dense_band(length) == band
    scores, arrays = Scores(0.0, jnp.ones((1, 2)) / 8), drawn(np.random.default_rng(0), length, (1, 2), 4)
    distance = np.arange(length)[:, None] - np.arange(length)
    whole = both_ways(lambda q, k, v: attend(q, k, v, distance >= 0, distance, scores), *arrays)
    ours = both_ways(lambda q, k, v: KERNELS["xla"].attend(q, k, v, scores, None), *arrays)
    for a, b in zip(ours, whole):
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("soft_cap", [0.0, 5.0])
def test_splash_attention_is_dense_attention(soft_cap):
    """Interpreted, since there is no TPU here."""
    scores, arrays = Scores(soft_cap, None), drawn(np.random.default_rng(0), 256, (2, 2), 128)
    dense = both_ways(lambda q, k, v: KERNELS["xla"].attend(q, k, v, scores, None), *arrays)
    splash = both_ways(lambda q, k, v: KERNELS["splash"].attend(q, k, v, scores, None, interpret=True), *arrays)
    for a, b in zip(splash, dense):
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-3)


def test_memory_of_attention_in_blocks_grows_with_the_length():
    """8,192 and 32,768 positions, forward and backward: 4 times as much, where dense scores would take 16 times.

    In a loop over layers with recomputation: that tends to keep what depends on positions alone.
    """

    def temporaries(length: int) -> int:
        q, k = ((1, length, 1, 2, 16), (1, length, 1, 16))
        shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (q, k, k)]
        layer = lambda q, kv: (chunked.attend(q, *kv, Scores(0.0, None)), None)
        layers = lambda q, k, v: jax.lax.scan(jax.checkpoint(layer), q, (jnp.stack([k, k]), jnp.stack([v, v])))[0]
        loss = lambda q, k, v: layers(q, k, v).sum()
        return jax.jit(jax.grad(loss, (0, 1, 2))).lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    short, long = temporaries(8192), temporaries(32_768)
    assert long < 4 * short
    assert long < 4 * 2 * 32_768**2 / 64  # of what the dense scores of both heads take


BIG = {"head_dim": 128, "heads": 2, "context": 8192}
ALIBI = {"positions": PositionConfig("alibi")}


@pytest.mark.parametrize(
    ("platform", "dtype", "length", "changes", "kernel"),
    [
        ("cpu", "float32", 512, {}, "xla"),
        ("cpu", "float32", 4096, {}, "chunked"),
        ("gpu", "bfloat16", 512, {}, "cudnn"),
        ("gpu", "float32", 4096, {}, "chunked"),
        ("gpu", "bfloat16", 4096, ALIBI, "chunked"),
        ("tpu", "bfloat16", 4096, BIG, "splash"),
        ("tpu", "bfloat16", 4096, {}, "chunked"),
        ("tpu", "bfloat16", 4096, BIG | ALIBI, "chunked"),
    ],
)
def test_the_kernel_of_a_platform(platform, dtype, length, changes, kernel):
    assert choose(decoder(**changes), length, jnp.dtype(dtype), platform) == kernel


@pytest.mark.parametrize(
    ("kernel", "platform", "changes", "message"),
    [
        ("splash", "cpu", BIG, r"AttentionConfig.kernel = 'splash': expected one for cpu: it needs a tpu; 'chunked'"),
        ("splash", "tpu", {}, "it needs a head_dim that is a multiple of 128"),
        ("splash", "tpu", BIG | ALIBI, "it has no bias for ALiBi"),
        ("cudnn", "gpu", {}, "it computes in bfloat16, not in float32; set TrainConfig.compute_dtype"),
    ],
)
def test_a_kernel_that_cannot_run_says_why(kernel, platform, changes, message):
    with pytest.raises(UserError, match=message):
        choose(decoder(attention=AttentionConfig(kernel=kernel), **changes), 512, jnp.dtype("float32"), platform)


def test_a_kernel_that_no_layer_reads_is_refused():
    with pytest.raises(UserError, match=r"kernel = 'chunked': expected 'auto': no layer"):
        AttentionConfig(pattern=("local",), window=4, kernel="chunked")
