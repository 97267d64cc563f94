"""A training of two processes is killed in a step, while it commits a checkpoint, and while it restores one."""

import signal

import pytest

from tests.chaos.child import Plan
from tests.chaos.run import LOST, NOTHING, Disturbed, undisturbed
from tests.cli.small import run, write_config

STEPS = 40
KILLS = ((1, Plan("kill", "step", 15)), (0, Plan("kill", "commit", 1, event=5)), (1, Plan("kill", "restore")))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    config = write_config(folder)
    run("data", config)
    run("tokenizer", config)
    found = Disturbed(config, folder / "run", folder / "killed", {"TrainConfig.steps": STEPS})
    found.reference = undisturbed(found)
    return found


def test_three_kills(training):
    """No step is skipped, doubled or done on another batch, and the bits are those of the undisturbed training."""
    training.begin()
    for victim, plan in KILLS:
        life = training.live(*([plan] if victim == 0 else [NOTHING, plan]))
        assert [line["moment"] for line in life.noted("killed")] == [plan.moment], life.written
        assert life.codes[victim] == -signal.SIGKILL
        assert life.codes[1 - victim] in LOST, life.written
    assert training.live().codes == [0, 0]
    assert training.checkpoints()[-1] == STEPS
    assert len(training.lost) >= 2
