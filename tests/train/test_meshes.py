"""Steps on every shipped mesh, and on those of one axis: the losses of one device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from baichuan_jax.config.load import load
from baichuan_jax.parallel.config import MeshConfig
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.train.config import TrainConfig
from tests.train import small
from tests.train.small import layout, learnable, setup

SHIPPED = sorted((Path(__file__).parents[2] / "configs/mesh").glob("*.gin"))
MESHES = {file.stem: load(file, (), RunConfig).config.mesh for file in SHIPPED} | {
    "tensor": MeshConfig(fsdp=1, tensor=-1),
    "context": MeshConfig(fsdp=1, context=-1),
    "data": MeshConfig(fsdp=1, data=-1),
}
SIZES = (2, 4, 8)
FAST = {("tensor2", 2)}  # of the kind that XLA once did not compile: no axis of tokens has two devices
MODEL = replace(small.MODEL, layers=1, heads=8, head_dim=4)  # as many heads as devices
CFG = TrainConfig(steps=3, batch=8, length=16, inner_mb=1, compute_dtype="float32")


def curve(devices: int, mesh: MeshConfig) -> list[float]:
    _, state, step = setup(CFG, layout(devices, **vars(mesh)), MODEL)
    losses = []
    for number in range(CFG.steps):
        state, values = step(state, learnable(CFG.batch, CFG.length, number))
        losses.append(float(values["loss"]))
    return losses


@pytest.fixture(scope="module")
def alone():
    return curve(1, MeshConfig())


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        pytest.param(name, devices, marks=[] if (name, devices) in FAST else pytest.mark.slow)
        for name in MESHES
        for devices in SIZES
    ],
)
def test_losses_of_one_device(alone, name, devices):
    losses = curve(devices, MESHES[name])
    np.testing.assert_allclose(losses, alone, rtol=2e-5)
    assert losses[-1] < losses[0]
