"""Muon: which matrices it orthogonalises, how large its updates are, and that a mesh changes nothing."""

import jax
import numpy as np
import optax
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import init_params, param_axes
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.muon import UPDATE_RMS, muon_for_matrices
from tests.train.small import MODEL, layout, learnable, setup

AXES = param_axes(MODEL)
OPTIM = OptimConfig(optimizer="muon", peak_lr=1e-2, warmup_steps=2)
CFG = TrainConfig(steps=4, batch=8, length=16, compute_dtype="float32")


def by_name(tree) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(tree)}


@pytest.fixture(scope="module")
def updates():
    """Return {name: (gradient, first update)} of random gradients, without rate and decay."""
    params = init_params(MODEL, jax.random.key(0))
    grads = jax.tree.map(lambda x: jax.random.normal(jax.random.key(x.size), x.shape), params)
    rule = muon_for_matrices(AXES, optax.scale(7.0))
    found = by_name(rule.update(grads, rule.init(params), params)[0])
    return {name: (grad, found[name]) for name, grad in by_name(grads).items()}


def matrix(name: str, layer: np.ndarray) -> np.ndarray:
    """Return one layer's parameter as [inputs, outputs]."""
    return layer.reshape(-1, layer.shape[-1]) if "output" in name or "down" in name else layer.reshape(len(layer), -1)


def spread(made: np.ndarray) -> float:
    """Return how far the singular values are apart, but for the least tenth: a tiny one is raised slowly."""
    return float(np.divide(*np.quantile(np.linalg.svd(made, compute_uv=False), [1.0, 0.1])))


def test_each_layers_matrices_are_orthogonalised_alone_with_one_rms(updates):
    names = [name for name in updates if "blocks" in name and "norm" not in name]
    assert len(names) == 7
    for name in names:
        grad, update = updates[name]
        for layer, of in zip(update, grad):
            made, given = matrix(name, layer), matrix(name, of)
            assert np.sqrt((made**2).mean()) == pytest.approx(UPDATE_RMS, rel=0.25)
            assert spread(made) < 1.8 < spread(given)
            u, _, v = np.linalg.svd(given, full_matrices=False)
            aligned = np.sum(made * (u @ v)) / np.linalg.norm(made) / np.linalg.norm(u @ v)
            assert aligned > 0.95  # the polar factor of the gradient, to the accuracy of five Newton-Schulz steps


def test_table_head_and_norms_are_left_to_the_other_rule(updates):
    names = [name for name in updates if "blocks" not in name or "norm" in name]
    assert len(names) == 5
    for name in names:
        grad, update = updates[name]
        np.testing.assert_allclose(update, 7.0 * grad, rtol=1e-6)


@pytest.mark.parametrize("axes", [{"fsdp": 4, "tensor": 2}, pytest.param({"fsdp": 8}, marks=pytest.mark.slow)])
def test_a_mesh_gives_the_losses_of_one_device(axes):
    curves = []
    for lay in (layout(1), layout(8, **axes)):
        _, state, step = setup(CFG, lay, optim_cfg=OPTIM)
        losses = []
        for number in range(CFG.steps):
            state, values = step(state, place(lay, learnable(CFG.batch, CFG.length, number)))
            losses.append(float(values["loss"]))
        curves.append(losses)
    np.testing.assert_allclose(curves[1], curves[0], rtol=2e-5)
    assert curves[0][-1] < curves[0][0]
    momentum = [x for x in jax.tree.leaves(state.optimizer) if x.shape == (2, 32, 48)]
    assert momentum
    assert all(x.addressable_shards[0].data.size == x.size // 8 for x in momentum)


def test_bfloat16_moments_are_refused():
    with pytest.raises(UserError, match=r"'float32' with OptimConfig.optimizer = 'muon'"):
        OptimConfig(optimizer="muon", moments="bfloat16")
