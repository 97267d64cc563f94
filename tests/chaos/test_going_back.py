"""Two processes go back before a spike, and on as if its batches had never been there."""

import pytest

from baichuan_jax.core.files import write_json
from baichuan_jax.core.metrics import REJECTED, read_metrics, read_rejected
from baichuan_jax.train.batch_hashes import read_hashes
from tests.chaos.child import Plan
from tests.chaos.run import NOTHING, Disturbed
from tests.cli.small import run as run_verb
from tests.cli.small import write_config

STEPS, SPOILED = 60, 27
SETTINGS = {"TrainConfig.steps": STEPS, "TrainConfig.log_every": 3, "SpikeConfig.score": 6.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return two runs that have begun, and their directories."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder)
    run_verb("data", config)
    run_verb("tokenizer", config)
    found = [Disturbed(config, folder / "run", folder / name, SETTINGS) for name in ("spiked", "never")]
    for run in found:
        run.begin()
    return found, [run.workdir / "train" for run in found]


def last_states(run, plan):
    """Train in two processes to the end; return the hashes of the last state, one of each process."""
    life = run.wait(run.start([plan, plan]))
    assert life.codes == [0, 0], life.written
    return [line["hash"] for line in life.noted("final")]


def on_the_board(directory):
    """Return (step, loss) of TensorBoard's curve, as TensorBoard reads it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(directory / "tensorboard"), {"scalars": 0}).Reload()
    return [(event.step, event.value) for event in board.Scalars("loss")]


@pytest.mark.slow
def test_two_processes_go_back_as_if_the_batches_had_never_been_there(runs):
    """From the same checkpoint, to the same bits; and nothing that was taken back is left in any file."""
    (spiked, never), directories = runs
    states = last_states(spiked, Plan("nan", occurrence=SPOILED))
    [record] = read_rejected(directories[0])
    assert record["steps"] == [SPOILED, SPOILED + 1]
    assert (record["draws"], record["back_to"]) == ([SPOILED - 1, SPOILED], 20)
    never.wait(never.start([Plan("kill", "step", SPOILED - 2), NOTHING]), power=True)
    write_json(directories[1] / REJECTED, [record])
    assert last_states(never, NOTHING) == states
    assert len(states) == 2
    assert read_rejected(directories[1]) == [record]
    assert read_hashes(directories[0]) == read_hashes(directories[1])
    curves = [[(each["step"], each["loss"]) for each in read_metrics(where) if "loss" in each] for where in directories]
    assert curves[0] == curves[1]
    assert [step for step, _ in curves[0]] == list(range(3, STEPS + 1, 3))
    for where in directories:
        assert on_the_board(where) == [(step, pytest.approx(loss)) for step, loss in curves[0]]
