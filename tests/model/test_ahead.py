"""What is sent ahead has the loss and the gradients of one device, for every kind of head, of layer and of mesh."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.ahead import comes_in_parts
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig
from baichuan_jax.model.decoder import init_params, loss
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh

CFG = DecoderConfig(vocab=64, layers=4, hidden=32, heads=4, head_dim=8, inner=48, context=32, init_std=0.2)
GROUPED = AttentionConfig(kv_heads=2, pattern=("full", "local"), window=4)
MESH = {"data": 2, "fsdp": 4}


@pytest.mark.parametrize(
    ("cfg", "axes", "in_parts", "inner_bytes"),
    [
        (replace(CFG, attention=GROUPED, feed_forward="gelu"), MESH, True, 0),
        (CFG, {"data": 2, "fsdp": 2, "context": 2}, True, 0),
        (replace(CFG, head=HeadConfig(tied=True)), {"data": 2, "fsdp": 2, "tensor": 2}, False, 0),
        (replace(CFG, head=HeadConfig(normalised=True), remat="products"), MESH, False, 0),
        (replace(CFG, vocab=66, remat="none"), MESH, False, 1024),
    ],
)
def test_loss_and_gradients(cfg, axes, in_parts, inner_bytes):
    rules = AxisRules(embed=("fsdp", "context", "data"), table_embed=("tensor", "fsdp", "context", "data"))
    layout = Layout(make_mesh(MeshConfig(**axes), jax.devices()[:8]), rules)
    assert comes_in_parts(cfg, layout) == in_parts
    params = init_params(cfg, jax.random.key(0))
    tokens = jnp.array(np.random.default_rng(0).integers(0, 64, (8, 17)))

    def found(layout: Layout | None):
        split = {
            "layout": layout,
            "sending": "ahead" if layout else "compiler",
            "max_z": 0.1,
            "inner_bytes": inner_bytes,
        }
        objective = lambda params: loss(cfg, params, tokens[:, :-1], tokens[:, 1:], **split)
        return jax.jit(jax.value_and_grad(objective, has_aux=True))(params)

    ((minimised, nll), grads), ((expected, expected_nll), plain) = found(layout), found(None)
    np.testing.assert_allclose((minimised, nll), (expected, expected_nll), rtol=1e-5)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4), grads, plain)
