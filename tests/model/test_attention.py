from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.attention.blockwise import attend_blockwise
from baichuan_jax.model.attention.splash import attend_splash
from baichuan_jax.model.attention.xla import Scores, attend, attend_xla, band_size
from baichuan_jax.model.config import AttentionConfig, PositionConfig
from baichuan_jax.model.decoder import apply, init_params
from baichuan_jax.model.execution import Batch, Execution
from tests.model.variants import VARIANTS, decoder

EXE = Execution()


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
    dense = both_ways(lambda q, k, v: attend_xla(q, k, v, scores, None, EXE), *arrays)
    ours = both_ways(lambda q, k, v: attend_blockwise(q, k, v, scores, None, EXE, block), *arrays)
    for a, b in zip(ours, dense):
        np.testing.assert_allclose(a, b, atol=3e-6 * scale, rtol=2e-5)


@pytest.mark.parametrize(("length", "band"), [(127, 127), (256, 128), (512, 128), (768, 192), (1024, 256)])
def test_bands_of_queries_see_what_all_at_once_do(length, band):
    assert band_size(length) == band
    scores, arrays = Scores(0.0, jnp.ones((1, 2)) / 8), drawn(np.random.default_rng(0), length, (1, 2), 4)
    distance = np.arange(length)[:, None] - np.arange(length)
    whole = both_ways(lambda q, k, v: attend(q, k, v, distance >= 0, distance, scores), *arrays)
    ours = both_ways(lambda q, k, v: attend_xla(q, k, v, scores, None, EXE), *arrays)
    for a, b in zip(ours, whole):
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2e-6), ("bfloat16", 0.01)])
@pytest.mark.parametrize("soft_cap", [0.0, 5.0])
@pytest.mark.parametrize("length", [7, 256])
def test_gradients_are_those_of_autodiff(length, soft_cap, dtype, bound):
    """Relative L2 to a softmax over all scores in float32, with ALiBi, documents and grouped heads."""
    slopes, arrays = jnp.asarray([[0.5, 0.1], [0.2, 0.0]]), drawn(np.random.default_rng(0), length, (2, 2), 8)
    segments = jnp.asarray(np.arange(length) // 3 * np.array([[0], [1]]))

    def reference(q, k, v):
        products = jnp.einsum("btkgh,bskh->bkgts", q, k) / np.sqrt(8)
        products = soft_cap * jnp.tanh(products / soft_cap) if soft_cap else products
        at = jnp.arange(length)
        sees = (at[:, None] >= at) & (segments[:, :, None] == segments[:, None])
        products = products - slopes[:, :, None, None] * (at[:, None] - at)
        weights = jax.nn.softmax(jnp.where(sees[:, None, None], products, -jnp.inf), axis=-1)
        return jnp.einsum("bkgts,bskh->btkgh", weights, v)

    cast = [jnp.asarray(x, dtype) for x in arrays]
    ours = both_ways(lambda q, k, v: attend_xla(q, k, v, Scores(soft_cap, slopes), segments, EXE), *cast)
    with jax.default_matmul_precision("highest"):
        right = both_ways(reference, *(x.astype(jnp.float32) for x in cast))
    for a, b in zip(ours, right):
        assert a.dtype == dtype
        assert np.linalg.norm(a.astype(jnp.float32) - b) < bound * np.linalg.norm(b)


@pytest.mark.slow
@pytest.mark.parametrize("soft_cap", [0.0, 5.0])
def test_splash_attention_is_dense_attention(soft_cap):
    """Interpreted, since there is no TPU here."""
    scores, arrays = Scores(soft_cap, None), drawn(np.random.default_rng(0), 256, (2, 2), 128)
    dense = both_ways(lambda q, k, v: attend_xla(q, k, v, scores, None, EXE), *arrays)
    splash = both_ways(lambda q, k, v: attend_splash(q, k, v, scores, None, EXE, interpret=True), *arrays)
    for a, b in zip(splash, dense):
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-3)


def test_memory_of_attention_in_blocks_grows_with_the_length():
    """8,192 and 32,768 positions, forward and backward: 4 times as much, where dense scores would take 16 times.

    In a loop over layers with recomputation: that tends to keep what depends on positions alone.
    """

    def temporaries(length: int) -> int:
        q, k = ((1, length, 1, 2, 16), (1, length, 1, 16))
        shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (q, k, k)]
        layer = lambda q, kv: (attend_blockwise(q, *kv, Scores(0.0, None), None, EXE), None)
        layers = lambda q, k, v: jax.lax.scan(jax.checkpoint(layer), q, (jnp.stack([k, k]), jnp.stack([v, v])))[0]
        loss = lambda q, k, v: layers(q, k, v).sum()
        return jax.jit(jax.grad(loss, (0, 1, 2))).lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    short, long = temporaries(8192), temporaries(32_768)
    assert long < 4 * short
    assert long < 4 * 2 * 32_768**2 / 64  # of what the dense scores of both heads take


def on(platform: str, dtype: str) -> SimpleNamespace:
    """Return what the choice reads of an `Execution` on a platform that is not here."""
    return SimpleNamespace(platform=platform, dtype=jnp.dtype(dtype))


BIG = {"head_dim": 128, "heads": 2, "context": 8192}
ALIBI = {"positions": PositionConfig("alibi")}


@pytest.mark.parametrize(
    ("platform", "dtype", "length", "changes", "implementation"),
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
def test_the_implementation_of_a_platform(platform, dtype, length, changes, implementation):
    assert choose_implementation(decoder(**changes), length, on(platform, dtype)) == implementation


@pytest.mark.parametrize(
    ("implementation", "platform", "changes", "message"),
    [
        (
            "splash",
            "cpu",
            BIG,
            r"AttentionConfig.implementation = 'splash': expected one for cpu: it needs a tpu; 'chunked'",
        ),
        ("splash", "tpu", {}, "it needs a head_dim that is a multiple of 128"),
        ("splash", "tpu", BIG | ALIBI, "it has no bias for ALiBi"),
        ("cudnn", "gpu", {}, "it computes in bfloat16, not in float32; set TrainConfig.compute_dtype"),
    ],
)
def test_an_implementation_that_cannot_run_says_why(implementation, platform, changes, message):
    cfg = decoder(attention=AttentionConfig(implementation=implementation), **changes)
    with pytest.raises(UserError, match=message):
        choose_implementation(cfg, 512, on(platform, "float32"))


def test_an_implementation_that_no_layer_reads_is_refused():
    with pytest.raises(UserError, match=r"implementation = 'chunked': expected 'auto': no layer"):
        AttentionConfig(pattern=("local",), window=4, implementation="chunked")


SEGMENTED = {
    "xla": decoder(attention=AttentionConfig(implementation="xla"), context=300),
    "chunked": decoder(attention=AttentionConfig(implementation="chunked"), context=1200),
    "chunked, ALiBi": decoder(attention=AttentionConfig(2, implementation="chunked"), context=1200, **ALIBI),
    **{name: cfg for name, cfg in VARIANTS.items() if "strided" in name or "fixed" in name or "local" in name},
}


@pytest.mark.parametrize("name", SEGMENTED)
def test_a_document_does_not_see_another(name):
    """Other tokens in document 1 leave every bit of the logits of document 2, which begins in the middle of a block."""
    cfg = SEGMENTED[name]
    length = cfg.context - 7
    first = length * 3 // 7
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, length), 0, cfg.vocab)
    segments = jnp.broadcast_to(jnp.arange(length) >= first, tokens.shape).astype(jnp.int32)
    run = jax.jit(lambda tokens, segments: apply(cfg, params, Batch(tokens, segments=segments)))
    other = jnp.where(segments == 0, (tokens + 1) % cfg.vocab, tokens)
    logits = run(tokens, segments)
    np.testing.assert_array_equal(logits[:, first:], run(other, segments)[:, first:])
    assert not np.array_equal(logits[:, first:], run(tokens, jnp.zeros_like(segments))[:, first:])


@pytest.mark.parametrize("implementation", ["xla", "chunked"])
def test_documents_of_a_row_are_documents_alone(implementation):
    """With positions of their own: logits and gradients."""
    cfg = decoder(attention=AttentionConfig(implementation=implementation), layers=1)
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (1, 40), 0, cfg.vocab)
    cut = 17
    segments = (jnp.arange(40) >= cut).astype(jnp.int32)[None]
    positions = jnp.concatenate([jnp.arange(cut), jnp.arange(40 - cut)])[None]
    packed = lambda params: apply(cfg, params, Batch(tokens, segments=segments, positions=positions))
    alone = lambda params: jnp.concatenate(
        [apply(cfg, params, Batch(x)) for x in (tokens[:, :cut], tokens[:, cut:])], 1
    )
    np.testing.assert_allclose(jax.jit(packed)(params), jax.jit(alone)(params), atol=1e-5)
    gradient = lambda run: jax.jit(jax.grad(lambda params: jnp.sum(jnp.sin(run(params)))))(params)
    ours, theirs = gradient(packed), gradient(alone)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), ours, theirs)


@pytest.mark.slow
def test_splash_attention_keeps_documents_apart():
    scores, arrays = Scores(0.0, None), drawn(np.random.default_rng(0), 256, (2, 2), 128)
    segments = jnp.broadcast_to(jnp.arange(256) >= 100, (2, 256)).astype(jnp.int32)
    run = lambda q, k, v: attend_splash(q, k, v, scores, segments, EXE, interpret=True)
    dense = both_ways(lambda q, k, v: attend_xla(q, k, v, scores, segments, EXE), *arrays)
    for a, b in zip(both_ways(run, *arrays), dense):
        np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-3)
    q, k, v, _ = arrays
    other = [np.concatenate([x[:, :100] + 1, x[:, 100:]], axis=1) for x in (q, k, v)]
    np.testing.assert_array_equal(run(q, k, v)[:, 100:], run(*other)[:, 100:])


def test_cudnn_refuses_documents_by_name():
    cfg = decoder(attention=AttentionConfig(implementation="cudnn"), head_dim=64)
    assert choose_implementation(cfg, 512, on("gpu", "bfloat16")) == "cudnn"
    with pytest.raises(UserError, match=r"AttentionConfig.implementation = 'cudnn'.*to keep documents apart"):
        choose_implementation(cfg, 512, on("gpu", "bfloat16"), segments=True)
    auto = replace(cfg, attention=AttentionConfig())
    assert choose_implementation(auto, 512, on("gpu", "bfloat16"), segments=True) == "xla"
