from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.model.chunks import Chunks
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import init_params, loss, param_axes
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.feedforward import FEED_FORWARDS, _in_chunks, _of_chunk
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.plan.hlo import collectives

MODEL = DecoderConfig(vocab=64, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64)
AXES = {"gate": ("embed", "mlp"), "up": ("embed", "mlp"), "down": ("mlp", "embed")}


def assert_near(found, expected, rtol: float = 1e-5) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.abs(b).max()))


@settings(max_examples=8)  # each is compiled
@given(
    kind=st.sampled_from(sorted(FEED_FORWARDS)),
    batch=st.integers(1, 3),
    length=st.integers(1, 17),
    tokens=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_chunks_give_the_output_and_gradients_of_the_whole(kind, batch, length, tokens, seed):
    rng = np.random.default_rng(seed)
    names = AXES if FEED_FORWARDS[kind].gated else ("up", "down")
    kernels = {name: rng.standard_normal((12, 8) if name == "down" else (8, 12)).astype(np.float32) for name in names}
    x, weights = rng.standard_normal((2, batch, length, 8)).astype(np.float32)
    chunks = Chunks(tokens, tuple(AXES.items()), None)
    whole = lambda x, kernels: jnp.sum(_of_chunk(kind, x, kernels) * weights)
    cut = lambda x, kernels: jnp.sum(_in_chunks(kind, chunks, x, kernels) * weights)
    assert_near(*(jax.jit(jax.value_and_grad(each, (0, 1)))(x, kernels) for each in (cut, whole)))


def gradients(model_cfg: DecoderConfig, layout: Layout | None, inner_bytes: int):
    """Return the compiled gradients of the loss, and their arguments."""
    params = init_params(model_cfg, jax.random.key(0))
    tokens = np.random.default_rng(0).integers(0, model_cfg.vocab, (16, 33))
    if layout is not None:
        params = jax.device_put(params, layout.shardings(param_axes(model_cfg), params))
        tokens = jax.device_put(tokens, layout.sharding(("batch", "length")))
    exe = Execution(layout=layout, inner_bytes=inner_bytes)
    total = lambda params, tokens: loss(model_cfg, params, Batch(tokens[:, :-1], tokens[:, 1:]), exe).minimised
    return jax.jit(jax.value_and_grad(total)).lower(params, tokens).compile(), (params, tokens)


@pytest.fixture(scope="module")
def whole():
    compiled, arguments = gradients(MODEL, None, 0)
    return compiled(*arguments)


@pytest.mark.parametrize(
    ("mesh", "rules", "remat"),
    [
        (MeshConfig(data=2, fsdp=2, tensor=2), {}, "block"),
        pytest.param(MeshConfig(fsdp=8), {"embed": None, "mlp": "fsdp"}, "none", marks=pytest.mark.slow),
    ],
)
def test_on_a_mesh(whole, mesh, rules, remat):
    """7 tokens in a chunk; the second way splits the kernels by the inner width, over the axis that splits tokens."""
    layout = Layout(make_mesh(mesh), AxisRules(**rules))
    compiled, arguments = gradients(replace(MODEL, remat=remat), layout, 7 * 4 * MODEL.inner)
    assert_near(compiled(*arguments), whole, rtol=2e-5)


@pytest.mark.parametrize("remat", [pytest.param("none", marks=pytest.mark.slow), "block"])
def test_the_peak_is_lower(remat):
    """Of temporaries, where the inner width is what is large."""
    model = DecoderConfig(vocab=64, layers=2, hidden=32, heads=2, head_dim=16, inner=1024, context=64, remat=remat)
    tokens = jnp.zeros((64, 64), jnp.int32)
    params = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))

    def temporaries(inner_bytes: int) -> int:
        exe = Execution(inner_bytes=inner_bytes)
        grad = jax.grad(lambda params: loss(model, params, Batch(tokens, tokens), exe).minimised)
        return jax.jit(grad).lower(params).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(2**20) < 0.5 * temporaries(0)


@pytest.mark.slow
def test_kernels_are_gathered_and_reduced_once():
    """However many the chunks, as many collectives run."""
    layout = Layout(make_mesh(MeshConfig(fsdp=8)), AxisRules())
    few, many = (gradients(MODEL, layout, tokens * 4 * MODEL.inner)[0].as_text() for tokens in (32, 4))
    assert sorted((c.kind, c.times, c.size) for c in collectives(few)) == sorted(
        (c.kind, c.times, c.size) for c in collectives(many)
    )
