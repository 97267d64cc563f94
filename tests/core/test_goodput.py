"""Where the wall time went: sums of the ledger, over runs whose parts are known."""

import random
from collections import Counter

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.goodput import (
    COMPILE,
    DOWN,
    FILE,
    INIT,
    INPUT,
    LOST,
    SAVE,
    STEP,
    UNEXPLAINED,
    append,
    append_rest,
    measured,
    read_goodput,
    read_ledger,
    sum_up,
)
from baichuan_jax.core.heartbeat import Heartbeat, read_beat


def beat(workdir, begun, time, step, seconds):
    file = Heartbeat(workdir, 0, begun)
    file.write(time=time, step=step, phase=STEP, last=INPUT, seconds=seconds)


def test_a_run_that_was_killed_between_two_checkpoints(tmp_path):
    """Killed at 130, after step 30 of a run whose checkpoint is of step 20; started again at 140."""
    append(tmp_path, measured(100, 105, 0, {INIT: 2, COMPILE: 3}) | {"from": 0})
    append(tmp_path, measured(100, 116, 20, {INPUT: 1, STEP: 9, SAVE: 1}))
    beat(tmp_path, 100, 129.5, 30, {STEP: 13, INPUT: 0.25})
    append_rest(tmp_path)
    append_rest(tmp_path)
    append(tmp_path, measured(140, 144, 20, {INIT: 2, COMPILE: 1.5}) | {"from": 20})
    append(tmp_path, measured(140, 154, 40, {STEP: 9.5, SAVE: 0.5}))
    found = read_goodput(tmp_path)
    assert found.record()["seconds"] == {
        **dict.fromkeys(("restore", "validation"), 0.0),
        INIT: 4,
        COMPILE: 4.5,
        INPUT: 1,
        STEP: 18.5,
        SAVE: 1.5,
        LOST: 13.25,
        DOWN: 10.5,
        UNEXPLAINED: 0.75,
    }
    assert (found.total, found.starts, found.saves) == (54, 2, 2)
    assert found.save == 0.75
    assert found.restart == pytest.approx((4 + 4.5 + 10.5) / 2)


def test_what_a_supervisor_saw_is_part_of_it(tmp_path):
    """The time from the last sign to the end was spent in the phase of that sign, and is lost with its step."""
    append(tmp_path, {"launched": 99.0})
    append(tmp_path, measured(99.5, 110, 0, {INIT: 10.5}) | {"from": 0})
    beat(tmp_path, 99.5, 120, 4, {STEP: 10})
    append_rest(tmp_path)
    append(tmp_path, {"exited": 150.0, "code": -9, "fault": "hang", "told": "process 0 hangs"})
    append(tmp_path, {"launched": 151.0})
    append(tmp_path, {"exited": 155.0, "code": 1, "fault": "crash", "told": "process 0 crashed"})
    found = read_goodput(tmp_path)
    lost = sum_up([*read_ledger(tmp_path), measured(156, 160, 0, {INIT: 4}) | {"from": 0}])
    assert found.seconds == {INIT: 14.5, STEP: 40, DOWN: 1}
    assert (lost.seconds[LOST], lost.seconds.get(STEP, 0), lost.seconds[DOWN]) == (40, 0, 2)
    assert [fault["told"] for fault in found.faults] == ["process 0 hangs", "process 0 crashed"]


def test_the_end_of_a_process_that_is_done_with_training_is_down(tmp_path):
    append(tmp_path, {"launched": 10.0})
    append(tmp_path, measured(10, 20, 5, {STEP: 10}) | {"ended": 1})
    append(tmp_path, {"exited": 23.0, "code": 0})
    assert read_goodput(tmp_path).seconds == {STEP: 10, DOWN: 3}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_counted_twice_or_left_out(seed):
    """A run of random kills, each second of which is known, with a ledger of all of them."""
    rng, now, lines, known, kept, work = random.Random(seed), 1000.0, [], Counter(), 0, []
    for _ in range(rng.randint(1, 6)):
        begun, start = now, rng.uniform(1, 3)
        now += start
        known[INIT] += start
        known[LOST] += sum(seconds for step, seconds in work if step > kept)
        work = [(step, seconds) for step, seconds in work if step <= kept]
        lines.append(measured(begun, now, kept, {INIT: start}) | {"from": kept})
        step = kept
        for _ in range(rng.randint(1, 4)):
            step, seconds = step + 5, rng.uniform(1, 9)
            now += seconds
            work.append((step, seconds))
            lines.append(measured(begun, now, step, {STEP: seconds}))
            kept = step if rng.random() < 0.5 else kept
        down = rng.uniform(0, 5)
        known[DOWN] += down
        now += down
    known[DOWN] -= down
    known[STEP] = sum(seconds for _, seconds in work)
    found = sum_up(lines)
    for part, seconds in known.items():
        assert found.seconds.get(part, 0) == pytest.approx(seconds, abs=1e-4), part
    assert found.record()["seconds"][UNEXPLAINED] == pytest.approx(0, abs=1e-2)


def test_a_line_that_was_cut_short_is_left_out_and_the_next_is_whole(tmp_path):
    append(tmp_path, {"launched": 1.0})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"launched": 2')
    append(tmp_path, {"launched": 3.0})
    assert read_ledger(tmp_path) == [{"launched": 1.0}, {"launched": 3.0}]


def test_a_run_that_never_trained_has_no_record(tmp_path):
    assert read_beat(tmp_path, 0) is None
    with pytest.raises(UserError, match="train first"):
        read_goodput(tmp_path)
