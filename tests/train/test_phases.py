import time
from contextlib import suppress

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.goodput import INIT, INPUT, LOST, SAVE, STEP, UNEXPLAINED, VALIDATION, read_goodput, read_ledger
from baichuan_jax.core.heartbeat import read_beat
from baichuan_jax.train import phases as module
from baichuan_jax.train.phases import QUIET, Phases


def test_each_second_is_that_of_the_innermost_phase(tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    phases = Phases(tmp_path)  # 0
    phases.begin(0)  # 1 counted, 2 written
    with phases.of(STEP):  # 3
        with phases.of(SAVE):  # 4
            pass  # 5
        phases.finished(1)
    phases.write()  # 6 closes the step, 7
    assert [line["seconds"] for line in read_ledger(tmp_path)] == [{INIT: 1}, {STEP: 2, SAVE: 1}]


def test_what_a_killed_process_had_measured_is_not_lost(tmp_path):
    killed = Phases(tmp_path)
    killed.begin(0)
    with killed.of(STEP):
        time.sleep(0.05)
        killed.finished(1)
    with killed.of(VALIDATION):
        pass
    assert read_beat(tmp_path, 0).phase == VALIDATION
    assert read_goodput(tmp_path).seconds[STEP] > 0.05
    again = Phases(tmp_path)
    again.begin(0)
    found = read_goodput(tmp_path)
    assert found.seconds[LOST] > 0.05
    assert found.starts == 2
    assert found.record()["seconds"][UNEXPLAINED] < 0.05


def test_the_last_beat_says_where_and_why_it_ended(tmp_path):
    with suppress(UserError), Phases(tmp_path, process=1) as phases:
        phases.begin(7)
        with phases.of(INPUT):
            raise UserError("shard 3 is damaged", "damaged data")
    beat = read_beat(tmp_path, 1)
    assert (beat.step, beat.phase, beat.fault, beat.message) == (7, INPUT, "damaged data", "shard 3 is damaged")
    assert read_ledger(tmp_path) == []  # which the first process keeps


@pytest.mark.parametrize(
    ("seconds", "within"),
    [([0.1] * 9, QUIET), ([10.0] * 9, 25.0), ([0.01] * 9 + [20.0], 30.0), ([100.0], None)],
)
def test_how_long_a_step_may_be_silent(tmp_path, monkeypatch, seconds, within):
    """A host that runs ahead has many short steps, and one in which it waits for all of them."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    phases = Phases(tmp_path)
    phases.begin(0)
    for each in seconds:
        with phases.of(STEP):
            now[0] += each
    now[0] += 1.5
    with phases.of(INPUT):
        assert read_beat(tmp_path, 0).within == within
    with phases.of(SAVE):
        assert read_beat(tmp_path, 0).within is None


def test_without_a_workdir_nothing_is_written():
    with Phases() as phases:
        phases.begin(0)
        with phases.of(STEP):
            phases.finished(1)
        phases.write()
