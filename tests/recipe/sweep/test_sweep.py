"""Sweeps: what is shared, what is done once, what fails, what is refused, what is kept."""

import csv
import shlex

import pyarrow.parquet
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.lab.points import groups_of
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.sweep.plan import SWEEP, make_plan, read_plan
from baichuan_jax.recipe.sweep.results import best_of, command_for, ranked, rows_of
from baichuan_jax.recipe.sweep.state import States
from tests.lab.checker import Checker

RATES, SEEDS = "OptimConfig.peak_lr=[1e-3, 2e-3]", "TrainConfig.seed=range(2)"


def table(plan) -> list[dict]:
    with (plan.directory / "results.csv").open() as file:
        return list(csv.DictReader(file))


def diverge():
    raise UserError("training has diverged")


def test_the_corpus_is_made_once_and_the_best_mean_over_seeds_wins(world, sweep):
    plan, files = sweep([RATES, SEEDS], pages=True)
    [corpus] = [run.name for run in plan.shared]
    assert world.made[:3] == [(corpus, name) for name in ("data", "tokenizer", "tokens")]
    assert world.made[3:] == [(f"{n:04}", name) for n in range(4) for name in ("train", "evaluate")]
    rows = table(plan)
    assert [float(row["bits_per_byte"]) for row in rows] == pytest.approx([2.1, 2.11, 2.0, 2.01])
    assert [row["state"] for row in rows] == ["done"] * 4
    best = best_of(ranked(plan, rows_of(plan)))
    assert (best.settings, best.mean) == ({"OptimConfig.peak_lr": 2e-3}, pytest.approx(2.005))
    assert pyarrow.parquet.read_table(files.parquet)["TrainConfig.seed"].to_pylist() == [0, 1] * 2
    kept = [point.number for point in plan.points if (plan.runs / point.name / "train/checkpoints").exists()]
    assert kept == [2, 3], "those of the best alone"
    page = Checker(files.page.read_text())
    assert any("peak_lr 0.002" in text for text in page.text)
    assert command_for(plan, best.rows[0]) in "".join(page.text)


def test_the_command_of_the_best_is_a_run_of_the_same_config(sweep):
    plan, _ = sweep(["VOCAB=[512, 400]", RATES])
    row = rows_of(plan)[3]
    _, verb, config, *options = shlex.split(command_for(plan, row))
    again = load_config(config, [option.removeprefix("--set=") for option in options])
    assert (verb, again.tokenizer.vocab, again.model.vocab, again.optim.peak_lr) == ("run", 400, 400, 2e-3)
    point = plan.config_of(plan.points[3])
    assert (again.train, again.model, again.base) == (point.train, point.model, point.base)


def test_a_second_call_makes_nothing_and_a_moved_sweep_goes_on(world, sweep, tmp_path):
    plan, _ = sweep([RATES])
    before = table(plan)
    del world.made[:]
    plan, _ = sweep([RATES])
    assert (world.made, table(plan)) == ([], before)
    moved = tmp_path / "elsewhere"
    plan.directory.rename(moved)
    again = make_plan(moved / SWEEP, ["SweepConfig.over=('OptimConfig.peak_lr=[1e-3, 2e-3, 5e-3]',)"], extend=True)
    assert (again.directory, len(again.points)) == (moved, 3)
    assert [row.state for row in rows_of(again)] == ["done"] * 2 + ["waiting"]


def test_points_that_agree_up_to_a_stage_share_it(world, sweep):
    plan, _ = sweep(["TokenizerConfig.shard_bytes=[500, 600]", "EvaluateConfig.windows=[4, 6]"])
    made = [name for _, name in world.made]
    assert {name: made.count(name) for name in ("data", "tokenizer", "tokens", "train", "evaluate")} == {
        "data": 1,
        "tokenizer": 2,
        "tokens": 2,
        "train": 2,
        "evaluate": 4,
    }
    assert [row.state for row in rows_of(plan)] == ["done"] * 4


def test_a_point_that_fails_is_tried_again_alone_and_stops_no_other(world, sweep):
    world.fails[1] = diverge
    plan, files = sweep([RATES, SEEDS], pages=True)
    state = States(plan.directory).read("0001")
    assert files.failed == (1,)
    assert state.error == "UserError: training has diverged"
    assert "in diverge" in state.trace
    assert [row["state"] for row in table(plan)] == ["done", "failed", "done", "done"]
    assert table(plan)[1]["error"] == state.error
    assert sum(note.startswith("✗ point 1") for note in sweep.notes) == 2, "it was tried twice"
    assert best_of(ranked(plan, rows_of(plan))).settings == {"OptimConfig.peak_lr": 2e-3}
    assert not ranked(plan, rows_of(plan))[-1].whole, "a group with a failed seed is not ranked"
    assert any("in diverge" in text for text in Checker(files.page.read_text()).text)
    world.fails.clear()
    assert sweep([RATES, SEEDS])[1].failed == (), "the same command tries it anew"


def test_three_that_fail_alike_stop_the_sweep(world, sweep):
    world.fails = dict.fromkeys(range(4), diverge)
    plan, files = sweep([RATES, SEEDS])
    assert (files.failed, files.stopped) == ((0, 1, 2), "UserError: training has diverged")
    assert [row.state for row in rows_of(plan)] == ["failed"] * 3 + ["waiting"]
    world.fails = {0: diverge, 1: lambda: 1 / 0, 2: diverge}
    plan, files = sweep([RATES, SEEDS])
    assert (files.failed, files.stopped) == ((0, 1, 2), ""), "two alike stop nothing"
    assert [row.state for row in rows_of(plan)] == ["failed"] * 3 + ["done"]


def test_a_changed_sweep_is_refused_by_the_name_of_the_setting(world, sweep):
    sweep([RATES])
    with pytest.raises(UserError, match=r"TrainConfig.batch was 8, is now 4"):
        sweep([RATES], {"TrainConfig.batch": 4})
    with pytest.raises(UserError, match=r"SweepConfig.metric was 'bits_per_byte', is now 'validation'"):
        sweep([RATES], {"SweepConfig.metric": "validation"})
    with pytest.raises(UserError, match=r"SweepConfig.over was .* --extend adds the new points"):
        sweep([RATES, SEEDS])
    with pytest.raises(UserError, match=r"TrainConfig\.batch"):
        sweep([RATES, SEEDS], {"TrainConfig.batch": 4}, extend=True)
    sweep([RATES], {"SweepConfig.keep": "all", "RunnerConfig.memory": 1})


def test_extended_points_keep_their_numbers(world, sweep):
    first, _ = sweep([RATES])
    del world.made[:]
    plan, _ = sweep(["OptimConfig.peak_lr=[5e-3, 2e-3]"], extend=True)
    assert plan.points[:2] == first.points
    assert [point.settings for point in plan.points[2:]] == [{"OptimConfig.peak_lr": 5e-3}]
    assert world.made == [("0002", "train"), ("0002", "evaluate")]
    assert read_plan(plan.directory).points == plan.points


def test_nothing_is_written_where_a_point_is_no_config(sweep, tmp_path):
    with pytest.raises(UserError, match=r"point 1 .*OptimConfig.warmup_steps=99.*: .*less than TrainConfig.steps = 12"):
        sweep(["OptimConfig.warmup_steps=[2, 99]"])
    with pytest.raises(UserError, match="did you mean 'peak_lr'"):
        sweep(["OptimConfig.peek_lr=[1e-3]"])
    with pytest.raises(UserError, match=r"no such file|nothing|not there|No such"):
        sweep([RATES], {"DataConfig.sources": {"zh": str(tmp_path / "gone.jsonl")}})
    assert not (tmp_path / "run-sweep").exists()


def test_a_directory_of_something_else_is_refused(sweep, tmp_path):
    (tmp_path / "run-sweep").mkdir()
    (tmp_path / "run-sweep" / "a").touch()
    with pytest.raises(UserError, match="holds files that no sweep has made"):
        sweep([RATES])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("train.loss", "the figures of training say nothing of other text"),
        ("bits_per_bite", "did you mean 'bits_per_byte'"),
        ("generate.samples", "there is no such number"),
    ],
)
def test_metrics_that_are_none(world, sweep, metric, message):
    if metric == "generate.samples":
        plan, _ = sweep([RATES], {"SweepConfig.metric": metric})
        assert message in States(plan.directory).read("0000").error
        return
    with pytest.raises(UserError, match=message):
        sweep([RATES], {"SweepConfig.metric": metric})


def test_ctrl_c_says_which_points_go_on(world, sweep):
    def interrupt():
        raise KeyboardInterrupt

    world.fails[1] = interrupt
    with pytest.raises(Interrupted, match=r"1 of 2 points are done; points that go on: 1 from step 4"):
        sweep([RATES])
    del world.made[:]
    world.fails.clear()
    sweep([RATES])
    assert world.trained == ["0001"]


def test_the_luckiest_seed_does_not_win():
    from baichuan_jax.lab.points import PointRow

    def row(number, lr, seed, value, state="done"):
        figures = {"m": value} if state == "done" else {}
        return PointRow(number, {"lr": lr, "seed": seed}, {"lr": lr}, state, figures, 1.0, 1, "")

    rows = [row(0, 1, 0, 1.0), row(1, 1, 1, 5.0), row(2, 2, 0, 2.0), row(3, 2, 1, 2.5)]
    assert [group.settings for group in groups_of(rows, "m", "minimize")] == [{"lr": 2}, {"lr": 1}]
    assert [group.settings for group in groups_of(rows, "m", "maximize")] == [{"lr": 1}, {"lr": 2}]
    unfinished = [*rows, row(4, 3, 0, 0.1), row(5, 3, 1, 0.0, "waiting")]
    assert [group.settings["lr"] for group in groups_of(unfinished, "m", "minimize")] == [2, 1, 3]
