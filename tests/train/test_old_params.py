"""Checkpoints of runs and imports made before embedding and head were modules of their own, as at 898d607."""

import jax
import numpy as np
import pytest

from baichuan_jax.convert.layouts import flat
from baichuan_jax.convert.save import save
from baichuan_jax.model.decoder import param_shapes
from baichuan_jax.model.old_params import from_old, old_name, to_old
from baichuan_jax.train.checkpoint import Checkpoints, newest_params
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import ShardedState, abstract_params
from tests.model.variants import VARIANTS
from tests.train.small import MODEL, layout, setup


@pytest.mark.parametrize("cfg", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_parameter_has_an_old_name(cfg):
    params = param_shapes(cfg)
    assert from_old(to_old(params)) == params
    assert {old_name(name): leaf for name, leaf in flat(params).items()} == flat(to_old(params))


@pytest.fixture(scope="module")
def old_and_new(tmp_path_factory):
    """Return (optimizer, state, directory of a checkpoint with the old names, of one with the new ones)."""
    optimizer, state, _ = setup(TrainConfig(steps=10, batch=8, length=16), layout(2, fsdp=2))
    directories = [tmp_path_factory.mktemp(name) for name in ("old", "new")]
    renamed = state._replace(params=to_old(state.params), optimizer=to_old(state.optimizer))
    for directory, saved in zip(directories, (renamed, state)):
        with CheckpointWriter(directory, 1) as checkpoints:
            checkpoints.save(saved, {"next_index": 3})
    return optimizer, state, *directories


def test_training_goes_on_from_an_old_checkpoint(old_and_new):
    optimizer, state, old, _ = old_and_new
    other = layout(1)
    with Checkpoints(old) as checkpoints:
        found, loader, _ = checkpoints.restore(ShardedState(MODEL, optimizer, other).abstract)
        params = checkpoints.restore_params(abstract_params(MODEL, other))
    jax.tree.map(np.testing.assert_array_equal, found, state)
    jax.tree.map(np.testing.assert_array_equal, params, state.params)
    assert loader == {"next_index": 3}


def test_an_old_checkpoint_is_exported(old_and_new, tmp_path):
    exported = []
    for name, directory in zip(("old", "new"), old_and_new[2:]):
        (tmp_path / name).mkdir()
        save(newest_params(directory), MODEL, "llama", None, 10**9, tmp_path / name, lambda done, total: None)
        exported.append((tmp_path / name / "model.safetensors").read_bytes())
    assert exported[0] == exported[1]
