"""What only a GPU can show: TEST_PLATFORMS=cuda,cpu python -m pytest -m gpu."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.attention.attention import choose_implementation
from baichuan_jax.model.attention.cudnn import attend_cudnn
from baichuan_jax.model.attention.xla import Scores, attend_xla
from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import init_params, loss
from baichuan_jax.model.execution import Batch, Execution
from tests.model.test_attention import both_ways, drawn

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() != "gpu", reason="no GPU, or TEST_PLATFORMS=cuda,cpu is not set"),
]
MODEL = DecoderConfig(
    vocab=1024, layers=2, hidden=512, heads=4, head_dim=128, inner=1408, context=1024, attention=AttentionConfig(2)
)


def difference(a: jax.Array, b: jax.Array) -> float:
    """Return |a - b| / |b| over everything."""
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize(("length", "heads"), [(2048, (4, 1)), (1000, (2, 4))])
def test_cudnn_attention_is_dense_attention(length, heads):
    """In bfloat16, against float32 on the same numbers."""
    arrays = [jnp.asarray(x, jnp.bfloat16) for x in drawn(np.random.default_rng(0), length, heads, 128)]
    scores = Scores(0.0, None)
    cudnn = both_ways(lambda q, k, v: attend_cudnn(q, k, v, scores, None, Execution()), *arrays)
    with jax.default_matmul_precision("float32"):
        exact = [x.astype(jnp.float32) for x in arrays]
        dense = both_ways(lambda q, k, v: attend_xla(q, k, v, scores, None, Execution()), *exact)
    for name, a, b in zip(("y", "dq", "dk", "dv"), cudnn, dense):
        assert difference(a, b) < 0.01, name


def gradients(model_cfg: DecoderConfig, dtype: jnp.dtype) -> tuple[jax.stages.Compiled, dict]:
    params = init_params(model_cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, 1025), 0, model_cfg.vocab)
    batch, exe = Batch(tokens[:, :-1], tokens[:, 1:]), Execution(jnp.dtype(dtype))
    objective = lambda p: loss(model_cfg, p, batch, exe).minimised
    compiled = jax.jit(jax.grad(objective)).lower(params).compile()
    return compiled, compiled(params)


def test_gradients_in_bfloat16_are_near_those_in_float32():
    with jax.default_device(jax.devices("cpu")[0]):  # to compile it for the card takes minutes
        exact = gradients(replace(MODEL, attention=AttentionConfig(2, implementation="chunked")), jnp.float32)[1]
    for remat in ("none", "products", "block"):
        found = gradients(replace(MODEL, remat=remat), jnp.bfloat16)[1]
        worst = max(jax.tree.leaves(jax.tree.map(difference, found, exact)))
        assert worst < 0.03, remat


def test_products_keeps_the_results_of_attention():
    """The forward kernel is there once for the forward pass, and again only where whole blocks are recomputed."""
    assert choose_implementation(MODEL, 1024, Execution(jnp.dtype("bfloat16"))) == "cudnn"
    for remat, kernels in (("none", 1), ("products", 1), ("block", 2)):
        text = gradients(replace(MODEL, remat=remat), jnp.bfloat16)[0].as_text()
        found = [line for line in text.splitlines() if 'custom_call_target="__cudnn$fmha' in line]
        assert sum("Backward" not in line for line in found) == kernels, remat
        assert sum("Backward" in line for line in found) == 1
