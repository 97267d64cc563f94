"""Two processes tune as one."""

import pytest

from baichuan_jax.core.metrics import read_metrics
from tests.cli.small import run
from tests.cli.test_processes import finish, launch, prepared, quick, settings, start  # noqa: F401
from tests.cli.test_tune_killed import TUNE
from tests.tune.making import write_lines


def curve(workdir):
    records = read_metrics(workdir / "tune")
    found = [each.get("loss") or each["validation"]["chats"] for each in records]
    return [each["step"] for each in records], found


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 4], ids=["full", "adapters"])
def test_two_processes_tune_as_one(prepared, rank, tmp_path):  # noqa: F811
    records = [{"prompt": f"{n}", "response": f"the people of {n}"} for n in range(80)]
    chats = write_lines(tmp_path / "chats.jsonl", records)
    config = tmp_path / "tune.gin"
    sources = f"InstructionConfig.sources = {{'chats': '{chats}'}}\n"
    config.write_text(prepared.read_text(encoding="utf-8") + TUNE + sources, encoding="utf-8")
    base = prepared.parent / "run"
    run("train", config, *settings(base))
    short = (f"RunConfig.base={base}", f"LoraConfig.rank={rank}", "TuneConfig.steps=4", "TuneConfig.eval_every=2")
    both, alone = tmp_path / "both", tmp_path / "alone"
    first, second = finish(start("tune", config, both, *short))
    assert "✓ tune" in first
    assert "tune" not in second.replace("tune.gin", "")
    finish([launch(["tune", config, *settings(alone, *short)], quick(2))])
    assert curve(both)[0] == curve(alone)[0] == [0, 1, 2, 2, 3, 4, 4]
    assert curve(both)[1] == pytest.approx(curve(alone)[1], rel=1e-5)
