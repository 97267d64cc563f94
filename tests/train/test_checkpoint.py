import re
from pathlib import Path
from shutil import copytree, rmtree

import jax
import numpy as np
import pytest

from baichuan_jax.core.checksums import MANIFEST
from baichuan_jax.core.errors import UserError
from baichuan_jax.train.checkpoint import Checkpoints, newest_params
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.saving import CheckpointWriter
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
    with CheckpointWriter(tmp_path, 1) as checkpoints:
        checkpoints.save(state, {"next_index": 2})
    other = layout(4, data=1, fsdp=2, tensor=2)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.newest() == 2
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
    with CheckpointWriter(tmp_path, 1) as checkpoints:
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
    with CheckpointWriter(tmp_path, 2) as checkpoints:
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


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """(folder of checkpoints of steps 1 and 2, abstract state, {step: state})."""
    folder = tmp_path_factory.mktemp("two") / "train/checkpoints"
    lay = layout(1)
    optimizer, state, step = setup(CFG, lay)
    states = {}
    with CheckpointWriter(folder, 2) as checkpoints:
        for number in (1, 2):
            state, _ = step(state, place(lay, learnable(8, 16, number)))
            states[number] = jax.tree.map(np.asarray, state)
            checkpoints.save(state, {"next_index": number})
    return folder, ShardedState(MODEL, optimizer, lay).abstract, states


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "deleted": lambda path: path.unlink(),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbled": lambda path: path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size)),
}


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("flips", [10, pytest.param(300, marks=pytest.mark.slow)])
def test_a_checkpoint_with_a_flipped_bit_is_named_and_the_one_before_is_used(two, flips, tmp_path):
    """Every file is hit, in proportion to its size once each has been."""
    folder, abstract, states = two
    rng = np.random.default_rng(flips)
    files = sorted(path.relative_to(folder) for path in folder.glob("2/**/*") if path.is_file())
    sizes = np.array([(folder / path).stat().st_size for path in files])
    hit = [*rng.permutation(len(files)), *rng.choice(len(files), flips, p=sizes / sizes.sum())][:flips]
    checkpoints = tmp_path / "train/checkpoints"
    copytree(folder, checkpoints)
    for number in hit:
        path = files[number]
        flip(checkpoints / path, int(rng.integers(8 * sizes[number])))
        with Checkpoints(checkpoints) as there:
            state, loader, [told] = there.restore(abstract)
        aside = tmp_path / "train-aside"
        why = f"its file {path.relative_to('2')} (does not match|is not whole|:)"
        assert re.search(rf"checkpoint {checkpoints}/2 cannot be read \({why}.*kept as {aside}/2$", told)
        assert (int(state.step), loader) == (1, {"next_index": 1})
        equal(state, states[1])
        rmtree(aside)
        copytree(folder / "2", checkpoints / "2")


def test_damaged_parameters_are_refused_and_stay_where_they_are(two, tmp_path):
    """As generate, evaluate, export and TrainConfig.start read them; only training moves anything."""
    folder, abstract, _ = two
    copytree(folder, tmp_path / "checkpoints")
    [path, *_] = sorted(tmp_path.glob("checkpoints/2/params/ocdbt.process_0/d/*"))
    flip(path, 99)
    refused = rf"checkpoint .*/2 cannot be read \(its file params/.*{path.name} does not match"
    with Checkpoints(tmp_path / "checkpoints") as checkpoints, pytest.raises(UserError, match=refused):
        checkpoints.restore_params(abstract.params)
    with pytest.raises(UserError, match=refused):
        newest_params(tmp_path / "checkpoints")
    assert sorted(path.name for path in tmp_path.glob("checkpoints/*")) == ["1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_without_a_manifest_a_damaged_file_is_harmless_or_the_checkpoint_is_moved_aside(two, damage, tmp_path, capfd):
    """One of each kind; those of arrays have random names. Older code wrote no manifest."""
    folder, abstract, states = two
    names = (path for path in folder.glob("2/**/*") if path.is_file() and path.name != MANIFEST)
    files = {path.relative_to(folder / "2") for path in names}
    kinds = {(path.parent, path.name if len(path.name) < 32 else ""): path for path in files}
    assert len(kinds) > 12
    found = []
    for number, path in enumerate(kinds.values()):
        copy = tmp_path / f"{number}/train/checkpoints"
        copytree(folder, copy)
        (copy / "2" / MANIFEST).unlink()
        DAMAGE[damage](copy / "2" / path)
        with Checkpoints(copy) as checkpoints:
            state, loader, told = checkpoints.restore(abstract)
            assert checkpoints.newest() == state.step
        found.append(int(state.step))
        equal(state, states[found[-1]])
        assert loader == {"next_index": found[-1]}
        kept = copy.parent.with_name("train-aside") / "2"
        assert (len(told), kept.is_dir()) == ((0, False) if found[-1] == 2 else (1, True))
        assert all(f"{copy}/2 cannot be read (" in line and line.endswith(f"kept as {kept}") for line in told)
    assert set(found) == {1, 2}
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_where_none_can_be_read_all_stay(two, tmp_path):
    folder, abstract, _ = two
    copytree(folder, tmp_path / "checkpoints")
    for step in ("1", "2"):
        for name in ("params/manifest.ocdbt", MANIFEST) if step == "1" else ("params/manifest.ocdbt",):
            (tmp_path / "checkpoints" / step / name).unlink()
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        with pytest.raises(UserError, match=r"no checkpoint .* can be read: 2 \(.*; 1 \("):
            checkpoints.restore(abstract)
        with pytest.raises(UserError, match=r"checkpoint .*2 cannot be read"):
            checkpoints.restore_params(abstract.params)
    assert sorted(path.name for path in tmp_path.glob("checkpoints/*")) == ["1", "2"]


@pytest.mark.slow
def test_a_state_that_is_not_finite_counts_as_unreadable(two, tmp_path):
    folder, abstract, states = two
    copytree(folder, tmp_path / "train/checkpoints")
    lost = jax.tree.map(lambda leaf: leaf * np.nan if leaf.ndim else leaf, states[2])._replace(step=np.int32(3))
    with CheckpointWriter(tmp_path / "train/checkpoints", 3) as checkpoints:
        checkpoints.save(jax.device_put(lost), {})
    with Checkpoints(tmp_path / "train/checkpoints") as checkpoints:
        state, _, [told] = checkpoints.restore(abstract)
    assert int(state.step) == 2
    assert "3 cannot be read (it holds numbers that are not finite)" in told


def test_an_unverified_checkpoint_is_used(two, tmp_path):
    folder, abstract, states = two
    copytree(folder, tmp_path / "train/checkpoints")
    (tmp_path / "train/checkpoints/2" / MANIFEST).unlink()
    with Checkpoints(tmp_path / "train/checkpoints") as checkpoints:
        state, _, told = checkpoints.restore(abstract)
    assert (int(state.step), told) == (2, [])
    equal(state, states[2])
