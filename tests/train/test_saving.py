"""Checkpoints that cannot be written: each is told, none of it stays, and the next one is written."""

import os
from time import sleep

import jax
import numpy as np
import pytest

from baichuan_jax.core.checksums import verify
from baichuan_jax.core.errors import UserError
from baichuan_jax.train import saving
from baichuan_jax.train.config import RetentionConfig, TrainConfig, checkpoint_steps
from baichuan_jax.train.retention import surplus
from baichuan_jax.train.saving import CheckpointWriter
from tests.disk import files_of_at_most
from tests.train.small import layout, setup

CFG = TrainConfig(steps=10, batch=8, length=16)


@pytest.fixture(scope="module")
def state():
    return setup(CFG, layout(1))[1]


def at(state, step):
    return state._replace(step=jax.numpy.int32(step))


def test_a_checkpoint_that_finds_no_room_is_told_and_the_next_is_written(state, tmp_path):
    with CheckpointWriter(tmp_path, keep=1) as writer:
        writer.save(at(state, 1), {})
        writer.secure(at(state, 1), {})
        assert (writer.news(), writer.try_again) == ([], False)
        for failures, size in enumerate((10, 10_000)):
            with files_of_at_most(size):
                writer.save(at(state, 2), {})
                while not (told := writer.news()):
                    sleep(0.01)
            pause = f"training goes on, and tries again after {2**failures} s"
            assert told == [f"the checkpoint of step 2 is not written: a file may not become that large; {pause}"]
            assert checkpoint_steps(tmp_path) == [1]
        writer.save(at(state, 3), {}, {"config": "text"})
        writer.secure(at(state, 3), {})
        assert writer.news() == ["the checkpoint of step 3 is written"]
    assert os.listdir(tmp_path) == ["3"]
    assert verify(tmp_path / "3")


@pytest.mark.slow
def test_twenty_points_where_files_may_not_grow(state, tmp_path):
    """No listing names the failed step, nothing of it stays, and the next interval saves."""
    with CheckpointWriter(tmp_path, keep=2) as writer:
        writer.save(at(state, 1), {})
        writer.secure(at(state, 1), {})
        sizes = [path.stat().st_size for path in (tmp_path / "1").rglob("*") if path.is_file()]
        for number, size in enumerate(np.geomspace(1, max(sizes) // 2, 20)):
            step, there = 2 * number + 2, checkpoint_steps(tmp_path)
            with files_of_at_most(int(size)):
                writer.save(at(state, step), {})
                writer._finish()
            [told] = writer.news()
            assert told.startswith(f"the checkpoint of step {step} is not written: a file may not become that large")
            assert checkpoint_steps(tmp_path) == there
            writer.save(at(state, step + 1), {})
            writer.secure(at(state, step + 1), {})
            assert checkpoint_steps(tmp_path) == [*there, step + 1][-2:]
            assert writer.news() == [f"the checkpoint of step {step + 1} is written"]
    assert sorted(os.listdir(tmp_path)) == ["39", "41"]


def test_the_last_checkpoint_is_tried_a_few_times(state, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(saving.time, "sleep", slept.append)
    with CheckpointWriter(tmp_path, keep=1) as writer, files_of_at_most(10):
        writer.save(at(state, 4), {})
        refused = (
            f"a file may not become that large: the checkpoint of step 4 cannot write .*{tmp_path}.*raise the limit"
        )
        with pytest.raises(UserError, match=refused):
            writer.secure(at(state, 4), {})
    assert slept == [1, 2, 4]
    assert len(writer.news()) == 4
    assert os.listdir(tmp_path) == []


def test_what_was_cut_short_is_removed(state, tmp_path):
    """A write and a removal that were killed."""
    for name in ("2", "4.partial", "6.partial.orbax-checkpoint-tmp", "1.removed", "notes"):
        (tmp_path / name / "params").mkdir(parents=True)
    with CheckpointWriter(tmp_path, keep=1):
        assert sorted(os.listdir(tmp_path)) == ["2", "notes"]


def test_retention():
    minutes = {step: 60.0 * step for step in range(10, 110, 10)}
    steps = lambda cfg, newest: [step for step in minutes if step not in surplus(cfg, newest, minutes)]
    assert steps(RetentionConfig(), 2) == [90, 100]
    assert steps(RetentionConfig(every=40), 1) == [40, 80, 100]
    assert steps(RetentionConfig(minutes=30), 1) == [10, 40, 70, 100]
    assert steps(RetentionConfig(every=50, minutes=45), 2) == [10, 50, 60, 90, 100]


def test_what_is_kept_for_good_does_not_depend_on_when_others_go():
    """Removed after every checkpoint or all at once, the same stay."""
    cfg, there = RetentionConfig(every=70, minutes=25), {}
    for step in range(10, 410, 10):
        there[step] = 60.0 * step
        for gone in surplus(cfg, 1, there):
            del there[gone]
    every = {step: 60.0 * step for step in range(10, 410, 10)}
    assert list(there) == [step for step in every if step not in surplus(cfg, 1, every)]
