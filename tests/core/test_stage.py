import os
import time
from contextlib import nullcontext

import pytest

from baichuan_jax.core.checkpointed import Checkpointed
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.core.stage import Stage


def reached(directory) -> int:
    file = directory / "half"
    return int(file.read_text() if file.exists() else 0)


MAY_CHANGE = Checkpointed(
    reached, "TrainConfig.steps", ("TrainConfig.steps", "TrainConfig.rate"), ("TrainConfig.keep",)
)
FIXED = Checkpointed(reached, "TrainConfig.steps", (), ())


def stage(directory, steps=300, **kwargs) -> Stage:
    return Stage("train", directory, (f"TrainConfig.steps = {steps}", "TrainConfig.seed = 0"), **kwargs)


def count_calls(calls):
    def build(directory):
        calls.append(directory)
        (directory / "out").write_text("done")
        return {"answer": 42}

    return build


def test_runs_once_then_skips(tmp_path):
    calls = []
    result, skipped = stage(tmp_path / "s").run(count_calls(calls))
    again, skipped_again = stage(tmp_path / "s").run(count_calls(calls))
    assert (skipped, skipped_again, len(calls)) == (False, True, 1)
    assert result == again
    assert result["answer"] == 42


def test_a_stage_that_died_is_redone_from_an_empty_directory(tmp_path):
    half_made(tmp_path / "s")
    assert not stage(tmp_path / "s").complete()
    stage(tmp_path / "s").run(count_calls([]))
    assert not (tmp_path / "s" / "half").exists()


def test_a_stage_that_can_go_on_keeps_what_it_had(tmp_path):
    half_made(tmp_path / "s", unfinished="resume")
    stage(tmp_path / "s", unfinished="resume").run(count_calls([]))
    assert (tmp_path / "s" / "half").exists()


def test_a_stage_is_resumed_only_from_the_same_config(tmp_path):
    half_made(tmp_path / "s", unfinished="resume")
    stage(tmp_path / "s", steps=400, unfinished="resume").run(count_calls([]))
    assert not (tmp_path / "s" / "half").exists()


def half_made(directory, **kwargs) -> None:
    def die(directory):
        (directory / "half").write_text("9")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        stage(directory, **kwargs).run(die)


@pytest.mark.parametrize("finished", [True, False])
def test_another_config_is_refused_by_name_and_changes_nothing(tmp_path, finished):
    directory = tmp_path / "s"
    if finished:
        stage(directory).run(count_calls([]))
    else:
        half_made(directory, checkpointed=FIXED)
    before = sorted(path.name for path in directory.iterdir())
    with pytest.raises(UserError, match=r"TrainConfig.steps was 300, is now 400.*RunConfig.workdir"):
        stage(directory, steps=400, checkpointed=FIXED).run(count_calls([]))
    assert sorted(path.name for path in directory.iterdir()) == before


def test_what_died_and_cannot_be_resumed_may_be_made_with_another_config(tmp_path):
    half_made(tmp_path / "s")
    assert stage(tmp_path / "s", steps=400).run(count_calls([]))[1] is False


def test_files_of_the_user_are_never_deleted(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="files that no run has made"):
        stage(tmp_path / "s").run(count_calls([]))
    assert (tmp_path / "s" / "thesis.txt").exists()


def test_inputs_and_source_files_are_watched(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("one")
    first = stage(tmp_path / "s", inputs={"data": "1"}, files=(source,))
    first.run(lambda directory: {})
    with pytest.raises(UserError, match="stage 'data', is not the one it was made from"):
        stage(tmp_path / "s", inputs={"data": "2"}, files=(source,)).complete()
    os.utime(source, (time.time(), time.time() + 5))
    assert stage(tmp_path / "s", inputs={"data": "1"}, files=(source,)).complete(), "only touched, not changed"
    source.write_text("two")
    with pytest.raises(UserError, match=r"a.txt has changed"):
        stage(tmp_path / "s", inputs={"data": "1"}, files=(source,)).complete()


def test_source_files_may_move(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("one")
    first = stage(tmp_path / "s", files=(tmp_path / "a" / "x.txt",))
    first.run(lambda directory: {})
    identity = first.identity
    (tmp_path / "a").rename(tmp_path / "b")
    moved = stage(tmp_path / "s", files=(tmp_path / "b" / "x.txt",))
    assert moved.complete()
    assert moved.identity == identity


def test_a_new_or_missing_source_file_is_named(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    stage(tmp_path / "s", files=(tmp_path / "a",)).run(lambda directory: {})
    with pytest.raises(UserError, match="source file b is new since"):
        stage(tmp_path / "s", files=(tmp_path / "a", tmp_path / "b")).complete()
    with pytest.raises(UserError, match="source file a is gone since"):
        stage(tmp_path / "s").complete()


def test_identity_depends_on_content_and_not_on_time(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("one")
    identity = stage(tmp_path / "s", files=(source,)).identity
    os.utime(source, (0, 0))
    assert stage(tmp_path / "t", files=(source,)).identity == identity
    assert stage(tmp_path / "s", steps=1, files=(source,)).identity != identity
    source.write_text("two")
    assert stage(tmp_path / "s", files=(source,)).identity != identity


def test_result_of_an_unfinished_stage(tmp_path):
    with pytest.raises(UserError, match="'train' has not finished"):
        stage(tmp_path / "s").result()


def older(directory, **kwargs) -> None:
    """Finish a stage as code that knew no versions did."""
    stage(directory, **kwargs).run(count_calls([]))
    forget_version(directory)


def forget_version(directory) -> None:
    for path in (directory / "started.json", directory / "manifest.json"):
        if path.exists():
            record = read_json(path)
            del record["version"]
            write_json(path, record)


def test_what_an_older_version_finished_is_refused_with_the_way_on_and_left_as_it_is(tmp_path):
    directory = tmp_path / "s"
    older(directory)
    assert stage(directory).complete(), "the first version is that of directories that name none"
    newer, calls = stage(directory, changes=("texts are read otherwise", "and cut")), []
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(UserError) as refused:
        newer.run(count_calls(calls))
    said = str(refused.value)
    assert "version 1 of stage 'train', and version 3" in said
    assert "texts are read otherwise; and cut" in said
    assert f"delete {directory} to make it again" in said
    assert "--set RunConfig.workdir=" in said
    assert not calls
    assert {path: path.read_bytes() for path in directory.iterdir()} == before
    assert newer.complete(any_version=True)


def test_only_the_changes_since_are_named(tmp_path):
    stage(tmp_path / "s", changes=("first",)).run(count_calls([]))
    assert read_json(tmp_path / "s" / "manifest.json")["version"] == 2
    with pytest.raises(UserError, match=r"version 2 of .*the same config: second\."):
        stage(tmp_path / "s", changes=("first", "second")).complete()


def test_what_newer_code_made_is_refused(tmp_path):
    stage(tmp_path / "s", changes=("first",)).run(count_calls([]))
    with pytest.raises(UserError, match=r"made by version 2 .*this code is older: it has version 1. Upgrade"):
        stage(tmp_path / "s").complete()


def test_what_another_stage_made_or_began_is_refused_whatever_the_versions(tmp_path):
    stage(tmp_path / "made", changes=("first",)).run(count_calls([]))
    half_made(tmp_path / "begun")
    for name in ("made", "begun"):
        other = Stage("export", tmp_path / name, ())
        with pytest.raises(UserError, match=r"holds the output of stage 'train', not of 'export'; choose another"):
            other.run(count_calls([]))
    assert (tmp_path / "begun" / "half").exists()


@pytest.mark.parametrize("unfinished", ["redo", "resume"])
@pytest.mark.parametrize("numbered", [True, False])
def test_what_another_version_left_half_made_is_emptied(tmp_path, unfinished, numbered):
    half_made(tmp_path / "s", unfinished=unfinished)
    if not numbered:
        forget_version(tmp_path / "s")
    result, skipped = stage(tmp_path / "s", unfinished=unfinished, changes=("first",)).run(count_calls([]))
    assert (result["answer"], skipped) == (42, False)
    assert not (tmp_path / "s" / "half").exists()
    assert read_json(tmp_path / "s" / "started.json")["version"] == 2


def test_what_another_version_left_half_made_is_refused_where_it_is_kept(tmp_path):
    half_made(tmp_path / "s", checkpointed=FIXED)
    forget_version(tmp_path / "s")
    with pytest.raises(UserError, match="half-made: finish it with the code that began it"):
        stage(tmp_path / "s", checkpointed=FIXED, changes=("first",)).run(count_calls([]))
    assert (tmp_path / "s" / "half").exists()
    assert stage(tmp_path / "s", checkpointed=FIXED).kept()
    assert not stage(tmp_path / "t", checkpointed=FIXED).kept()


def test_the_version_is_part_of_the_identity(tmp_path):
    assert stage(tmp_path / "s").identity != stage(tmp_path / "s", changes=("first",)).identity


def test_a_finished_directory_has_one_identity_before_and_after_and_for_every_version(tmp_path):
    planned = stage(tmp_path / "s").identity
    stage(tmp_path / "s").run(count_calls([]))
    assert stage(tmp_path / "s").identity == planned
    assert stage(tmp_path / "s", changes=("first",)).identity == planned, "what was made from it still is"


def test_a_new_setting_at_its_default_is_no_other_config(tmp_path):
    directory = tmp_path / "s"
    Stage("train", directory, ("TrainConfig.steps = 300",)).run(count_calls([]))
    lines = ("TrainConfig.seed = 0", "TrainConfig.steps = 9")
    same = stage(directory, defaults=lines)
    assert same.complete()
    assert same.identity == Stage("train", directory, ("TrainConfig.steps = 300",)).identity
    with pytest.raises(UserError, match=r"TrainConfig.seed was None, is now 0"):
        stage(directory).complete()
    with pytest.raises(UserError, match=r"TrainConfig.seed was 1, is now 0"):
        stage(directory, defaults=("TrainConfig.seed = 1",)).complete()


def test_another_section_is_another_config_also_at_its_defaults(tmp_path):
    line = "RotaryConfig.base = 10000"
    Stage("train", tmp_path / "s", ("TrainConfig.steps = 300",)).run(count_calls([]))
    with pytest.raises(UserError, match=r"RotaryConfig.base was None"):
        Stage("train", tmp_path / "s", ("TrainConfig.steps = 300", line), defaults=(line,)).complete()


def test_settings_that_two_versions_share_are_compared_where_any_version_will_do(tmp_path):
    directory = tmp_path / "s"
    Stage("train", directory, ("TrainConfig.steps = 300", "TrainConfig.old = 1")).run(count_calls([]))
    newer = stage(directory, changes=("first",))  # it has TrainConfig.seed, and no TrainConfig.old
    assert newer.complete(any_version=True)
    with pytest.raises(UserError, match=r"TrainConfig.steps was 300, is now 400"):
        stage(directory, steps=400, changes=("first",)).complete(any_version=True)


def test_a_setting_of_an_old_name_is_the_same_setting(tmp_path):
    make = lambda name: Stage("train", tmp_path / "s", (f"AttentionConfig.{name} = 'auto'",))
    calls = []
    old = make("kernel")
    old.run(count_calls(calls))
    identity = old.identity
    assert make("implementation").run(count_calls(calls))[1]
    assert len(calls) == 1
    assert make("implementation").identity == identity  # or what was made from it would be made again


def going_on(directory, steps=300, rate=1, keep=2, seed=0) -> Stage:
    values = {"steps": steps, "rate": rate, "keep": keep, "seed": seed}
    lines = tuple(f"TrainConfig.{name} = {value}" for name, value in values.items())
    return Stage("train", directory, lines, checkpointed=MAY_CHANGE, config="run/config.gin")


def reach(directory, step: int, die: bool = False, start: int | None = None, **settings) -> None:
    """Go on to a step from another one, the newest checkpoint if not given."""
    stage = going_on(directory, **settings)

    def build(directory):
        stage.goes_on_from(stage.reached if start is None else start)
        (directory / "half").write_text(f"{step}")
        return {} if not die else 1 / 0

    with pytest.raises(ZeroDivisionError) if die else nullcontext():
        assert not stage.run(build)[1]


def change(step, name, before, after) -> dict:
    return {"step": step, "setting": f"TrainConfig.{name}", "before": f"{before}", "after": f"{after}"}


def test_a_finished_stage_goes_on_with_more_steps_and_records_what_changed(tmp_path):
    reach(tmp_path, 300)
    before = going_on(tmp_path).identity
    assert going_on(tmp_path, keep=5).complete(), "it shapes no result"
    assert not going_on(tmp_path, steps=400).complete()
    reach(tmp_path, 300, die=True, steps=400, rate=7)
    reach(tmp_path, 350, die=True, steps=400, rate=3)
    changes = [change(300, "steps", 300, 400), change(300, "rate", 1, 3)]
    assert read_json(tmp_path / "started.json")["changes"] == changes, "no step was taken at a rate of 7"
    assert not going_on(tmp_path, steps=400, rate=3).complete()
    reach(tmp_path, 500, start=290, steps=500, rate=3, keep=1)  # its newest checkpoint could not be read
    changes = [change(290, "rate", 1, 3), change(290, "steps", 300, 500)]
    assert read_json(tmp_path / "manifest.json")["changes"] == changes
    assert going_on(tmp_path, steps=500, rate=3).complete()
    assert going_on(tmp_path, steps=500, rate=3).identity != before, "or what was made from it would stay"


def test_a_finished_stage_that_cannot_go_on_stays_finished(tmp_path):
    reach(tmp_path, 300)
    with pytest.raises(UserError):
        going_on(tmp_path, steps=400).run(_cannot_read)
    assert going_on(tmp_path).complete()


def _cannot_read(directory):
    raise UserError("no checkpoint can be read")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 200}, "steps was 300, is now 200, and .* has reached step 300"),
        ({"rate": 2}, "rate was 1, is now 2, and .* has reached step 300: it goes on with more TrainConfig.steps"),
        ({"steps": 400, "seed": 1}, "another config: TrainConfig.seed was 0, is now 1.* in run/config.gin"),
    ],
)
def test_a_change_that_comes_too_late_is_refused(tmp_path, settings, message):
    reach(tmp_path, 300)
    with pytest.raises(UserError, match=message):
        going_on(tmp_path, **settings).complete()
    assert going_on(tmp_path).complete()


def test_a_finished_stage_without_checkpoints_does_not_begin_anew(tmp_path):
    reach(tmp_path, 300)
    (tmp_path / "half").unlink()
    with pytest.raises(UserError, match="no checkpoint in"):
        going_on(tmp_path, steps=400).complete()


def test_a_stage_without_a_checkpoint_never_locks_its_folder(tmp_path):
    reach(tmp_path, 0, die=True)
    reach(tmp_path, 400, seed=1, steps=400)
    assert "changes" not in read_json(tmp_path / "manifest.json")


def test_a_reader_depends_on_what_it_uses_alone(tmp_path):
    reach(tmp_path, 300)
    other = going_on(tmp_path, steps=9, seed=1)
    assert other.complete(uses={"TrainConfig.rate"})
    with pytest.raises(UserError, match=r"another config: TrainConfig.seed was 0, is now 1\."):
        other.complete(uses={"TrainConfig.seed"})


def test_what_only_reads_is_redone_when_its_input_has_gone_on(tmp_path):
    reader = lambda identity: Stage("report", tmp_path, (), {"train": identity}, follows=True)
    calls = []
    for identity in ("1", "1", "2", "2"):
        reader(identity).run(count_calls(calls))
    assert len(calls) == 2
