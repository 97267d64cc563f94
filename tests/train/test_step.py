from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import apply, param_axes
from baichuan_jax.model.loss import max_z
from baichuan_jax.parallel.config import AXES, AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.options import sending
from tests.train.small import MODEL, layout, setup, windows

CFG = TrainConfig(steps=8, batch=8, length=16)


def curve(cfg: TrainConfig, layout) -> list[float]:
    _, state, step = setup(cfg, layout)
    losses = []
    for number in range(cfg.steps):
        state, values = step(state, place(layout, windows(cfg.batch, cfg.length, number)))
        losses.append(float(values["loss"]))
    return losses


@pytest.fixture(scope="module")
def reference():
    return curve(CFG, layout(1))


def test_it_learns(reference):
    assert reference[0] == pytest.approx(np.log(64), abs=0.1)
    assert reference[-1] < reference[0] - 0.1


@pytest.mark.parametrize(
    ("devices", "axes"),
    [
        (2, {"fsdp": 2}),
        (4, {"data": 2, "fsdp": 2}),
        (8, {"data": 8, "fsdp": 1}),
        (8, {"fsdp": 8}),
        (8, {"tensor": 2, "fsdp": 4}),
        (8, {"data": 2, "fsdp": 2, "tensor": 2}),
        (8, {"fsdp": 2, "context": 2, "tensor": 2}),
    ],
)
def test_every_mesh_gives_the_same_loss_curve(reference, devices, axes):
    np.testing.assert_allclose(curve(CFG, layout(devices, **axes)), reference, rtol=2e-5)


@pytest.mark.parametrize(
    ("axes", "embed", "staged"),
    [
        ({"data": 2, "fsdp": 4}, ("fsdp", "data"), True),
        ({"data": 1, "fsdp": 8}, ("fsdp", "data"), False),  # one axis
        ({"data": 2, "fsdp": 4}, "fsdp", False),  # replicas to be summed over
        ({"data": 2, "fsdp": 3}, ("fsdp", "data"), False),  # no power of 2
        ({"data": 8, "fsdp": 8}, ("fsdp", "data"), False),  # more ways than the hidden size has
    ],
)
def test_who_sends_kernels(monkeypatch, axes, embed, staged):
    lay = Layout(Mesh(np.resize(jax.devices(), MeshConfig(**axes).sizes()), AXES), AxisRules(embed=embed))
    assert sending(MODEL, lay) == "compiler"
    monkeypatch.setattr(Layout, "platform", "tpu")
    assert sending(MODEL, lay) == ("staged" if staged else "compiler")
    monkeypatch.setattr("baichuan_jax.train.options.kind", lambda device: "v5e")
    assert sending(MODEL, lay) == ("ahead" if staged else "compiler")


@pytest.mark.parametrize("kernels", ["staged", "ahead"])
def test_however_kernels_are_sent_the_loss_curve_is_the_same(reference, monkeypatch, kernels):
    monkeypatch.setattr("baichuan_jax.train.step.sending", lambda model, layout: kernels)
    lay = layout(8, AxisRules(embed=("fsdp", "data"), table_embed=("tensor", "fsdp", "data")), data=2, fsdp=2, tensor=2)
    np.testing.assert_allclose(curve(replace(CFG, accumulate=2), lay), reference, rtol=2e-5)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_gives_the_same_loss_curve(reference, accumulate):
    cfg = TrainConfig(steps=8, batch=8, length=16, accumulate=accumulate)
    np.testing.assert_allclose(curve(cfg, layout(2, fsdp=2)), reference, rtol=2e-5)


def test_parameters_and_both_moments_are_laid_out_by_the_rules():
    """On 2 x 2 x 2, after init and again after a step: no leaf may be silently replicated."""
    lay = layout(8, data=2, fsdp=2, tensor=2)
    _, state, step = setup(CFG, lay)
    after, _ = step(state, place(lay, windows(CFG.batch, CFG.length, 0)))
    _, fresh, _ = setup(CFG, lay)
    for state in (fresh, after):
        adam = next(part for part in jax.tree.leaves(state.optimizer, is_leaf=is_adam) if is_adam(part))
        for tree in (state.params, adam.mu, adam.nu):
            jax.tree.map(assert_by_rules, tree, param_axes(MODEL), is_leaf=lambda node: isinstance(node, jax.Array))
    table = fresh.params["ends"]["table"]
    assert table.addressable_shards[0].data.shape == (MODEL.vocab, MODEL.hidden // 4)


def is_adam(node) -> bool:
    return hasattr(node, "mu") and hasattr(node, "nu")


def assert_by_rules(array: jax.Array, axes: tuple[str, ...]) -> None:
    by_hand = {"table_embed": ("tensor", "fsdp"), "embed": "fsdp", "heads": "tensor", "mlp": "tensor"}
    by_hand |= {"vocab": "tensor", "kv_heads": "tensor"}
    spec = jax.sharding.PartitionSpec(*(by_hand.get(axis) for axis in axes))
    expected = jax.sharding.NamedSharding(array.sharding.mesh, spec)
    assert array.sharding.is_equivalent_to(expected, array.ndim), (axes, array.sharding)


def test_bfloat16_compute_keeps_float32_masters():
    cfg = TrainConfig(steps=8, batch=8, length=16, compute_dtype="bfloat16")
    lay = layout(1)
    _, state, step = setup(cfg, lay)
    state, values = step(state, place(lay, windows(8, 16, 0)))
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state.params, state.optimizer)) if leaf.ndim}
    assert dtypes == {np.dtype("float32")}
    assert float(values["loss"]) == pytest.approx(np.log(64), abs=0.1)


def test_a_batch_that_does_not_split():
    with pytest.raises(UserError, match=r"batch / accumulate = 2: expected a multiple of the 8 devices"):
        setup(TrainConfig(batch=8, accumulate=4), layout(8))


def test_max_z_keeps_logits_small_and_is_not_reported(reference):
    """The first loss is that without it; after a few steps the largest logits are below those of the start."""
    cfg, lay = TrainConfig(steps=8, batch=8, length=16, accumulate=2, max_z=10.0), layout(1)
    _, state, step = setup(cfg, lay)
    largest = lambda state: float(max_z(apply(MODEL, state.params, windows(8, 16, 0)[:, :-1])).mean())
    before, losses = largest(state), []
    for number in range(cfg.steps):
        state, values = step(state, place(lay, windows(8, 16, number)))
        losses.append(float(values["loss"]))
    assert losses[0] == pytest.approx(reference[0], rel=1e-6)
    assert losses[-1] != pytest.approx(reference[-1], rel=1e-4)
    assert largest(state) < before
