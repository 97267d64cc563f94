import jax
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.state import ShardedState, abstract_params
from tests.train.small import MODEL, layout, learnable, setup

CFG = TrainConfig(steps=10, batch=8, length=16)


def trained(lay, steps=2):
    optimizer, state, step = setup(CFG, lay)
    for number in range(steps):
        state, _ = step(state, place(lay, learnable(8, 16, number)))
    return optimizer, state


def equal(a, b) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_restores_onto_another_mesh(tmp_path):
    optimizer, state = trained(layout(8, fsdp=8))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state, {"next_index": 2})
    other = layout(4, data=1, fsdp=2, tensor=2)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 2
        found, loader, _ = checkpoints.restore(ShardedState(MODEL, optimizer, other).abstract)
        params = checkpoints.restore_params(abstract_params(MODEL, other))
    assert loader == {"next_index": 2}
    equal(found, state)
    equal(params, state.params)
    assert found.params["embed"]["table"].sharding.mesh.shape == {"data": 1, "fsdp": 2, "context": 1, "tensor": 2}
    fresh = setup(CFG, other)[1]
    assert not np.array_equal(fresh.params["embed"]["table"], params["embed"]["table"]), "a restore must change numbers"


def test_a_run_may_start_from_the_weights_of_another(tmp_path):
    optimizer, state = trained(layout(8, fsdp=8))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state, {})
    other = layout(2, fsdp=2)
    with Checkpoints(tmp_path) as checkpoints:
        start = ShardedState(MODEL, optimizer, other).start(checkpoints.restore_params(abstract_params(MODEL, other)))
    equal(start.params, state.params)
    assert int(start.step) == 0
    equal(start.optimizer, setup(CFG, other)[1].optimizer)
    step = setup(CFG, other)[2]
    moved, _ = step(start, place(other, learnable(8, 16, 0)))
    assert int(moved.step) == 1


def test_keeps_the_newest(tmp_path):
    lay = layout(1)
    _, state, step = setup(CFG, lay)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for number in range(4):
            state, _ = step(state, place(lay, learnable(8, 16, number)))
            checkpoints.save(state, {})
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["3", "4"]


def test_none_yet(tmp_path):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="no finished checkpoint"):
        checkpoints.restore_params(abstract_params(MODEL, layout(1)))
    with pytest.raises(UserError, match="no finished checkpoint"):
        Checkpoints(tmp_path / "none")
    assert not list(tmp_path.iterdir()), "reading must not write"


def test_a_damaged_checkpoint_is_named(tmp_path):
    optimizer, state = trained(layout(1))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state, {})
    for path in (tmp_path / "2" / "params").rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            path.write_bytes(path.read_bytes()[:50])
    abstract = ShardedState(MODEL, optimizer, layout(1)).abstract
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=r"no checkpoint .* can be read: 2 \("):
        checkpoints.restore(abstract)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match=r"checkpoint .*2 cannot be read"):
        checkpoints.restore_params(abstract.params)
