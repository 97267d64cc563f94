"""Sequences whose tokens are split over devices, against one device that has them whole."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig
from baichuan_jax.model.decoder import init_params, loss, param_axes, param_shapes
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.plan.hlo import collectives
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.step import check_split

BATCH, LENGTH = 4, 32
SMALL = DecoderConfig(vocab=64, layers=2, hidden=64, heads=8, head_dim=8, inner=96, context=LENGTH)
WIDE, WITH_TENSOR = MeshConfig(fsdp=2, context=4), MeshConfig(fsdp=2, context=2, tensor=2)


def attention(**changes) -> DecoderConfig:
    return replace(SMALL, attention=AttentionConfig(**changes))


def compiled(cfg: DecoderConfig, layout: Layout | None, **split: int):
    """Return the compiled loss and its gradients, and what they take."""
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (BATCH, LENGTH + 1), 0, cfg.vocab)
    if layout is not None:
        params = jax.device_put(params, layout.shardings(param_axes(cfg), param_shapes(cfg)))
        tokens = jax.device_put(tokens, layout.sharding(("batch",)))
    exe = Execution(layout=layout, **split)
    value = lambda params, tokens: loss(cfg, params, Batch(tokens[:, :-1], tokens[:, 1:]), exe).minimised
    return jax.jit(jax.value_and_grad(value)).lower(params, tokens).compile(), params, tokens


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("cfg", "mesh", "split"),
    [
        (attention(implementation="chunked"), WIDE, {"logits_bytes": 1024, "inner_bytes": 1024}),
        slow(replace(attention(kv_heads=4, pattern=("local", "full"), window=6), remat="none"), WITH_TENSOR, {}),
        slow(replace(SMALL, positions=PositionConfig("alibi"), head=HeadConfig(tied=True)), WITH_TENSOR, {}),
        slow(replace(SMALL, positions=PositionConfig("learned")), WIDE, {}),
        slow(attention(pattern=("strided",), window=8), WIDE, {}),
        slow(attention(pattern=("fixed",), window=8, summary=2), WITH_TENSOR, {}),
        slow(attention(implementation="chunked", soft_cap=5.0), MeshConfig(fsdp=1, context=8), {}),
    ],
)
def test_loss_and_gradients_are_those_of_whole_sequences(cfg, mesh, split):
    split_step, *arrays = compiled(cfg, Layout(make_mesh(mesh), AxisRules()), **split)
    whole_step, *whole_arrays = compiled(replace(cfg, remat="none"), None)
    (value, grads), (expected, whole) = split_step(*arrays), whole_step(*whole_arrays)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4, rtol=2e-4), grads, whole
    )  # sums of 128 tokens
    assert all(np.abs(grad).max() > 1e-4 for grad in jax.tree.leaves(grads))


def test_what_is_sent():
    """Queries, keys, values, outputs and looked-up vectors change hands in either direction; matrices are gathered."""
    found = collectives(compiled(replace(SMALL, remat="none"), Layout(make_mesh(WIDE), AxisRules()))[0].as_text())
    sent = lambda kind: sum(each.times * each.size for each in found if each.kind == kind)
    part = BATCH // 2 * LENGTH // 4 * SMALL.hidden * 4  # bytes that a device has of each
    assert sent("all-to-all") == (SMALL.layers * 8 + 2) * part
    assert {each.group_size for each in found if each.kind == "all-to-all"} == {4, 8}
    shapes = param_shapes(SMALL)
    matrices = sum(4 * leaf.size for leaf in jax.tree.leaves(shapes["blocks"]) if leaf.ndim > 2)
    head, tokens = 4 * SMALL.vocab * SMALL.hidden, 4 * BATCH * LENGTH
    assert sent("all-gather") == 2 * matrices + head + tokens  # matrices again in the backward pass


@pytest.mark.parametrize(
    ("length", "kv_heads", "mesh", "message"),
    [
        (30, 8, WIDE, "TrainConfig.length = 30: expected a multiple of the 4 devices that split it"),
        (32, 2, WIDE, r"MeshConfig.context \* tensor = 4: expected a divisor of the 2 heads of keys and values"),
        (32, 2, WITH_TENSOR, r"MeshConfig.context \* tensor = 4: .* 2 heads"),
    ],
)
def test_what_does_not_divide(length, kv_heads, mesh, message):
    cfg = TrainConfig(batch=BATCH, length=length)
    with pytest.raises(UserError, match=message):
        check_split(cfg, attention(kv_heads=kv_heads), Layout(make_mesh(mesh), AxisRules()))
