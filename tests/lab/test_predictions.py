"""Predictions of experiments: reading, judging, and the order of dates."""

import os
import subprocess

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.lab.experiment import Table
from baichuan_jax.lab.predictions import judge_predictions, read_predictions

TABLE = Table("verdicts", "", ["method", "bits/byte", "verdict"], [["a", 1.5, "worse"], ["b", 1.25, None]])
HEAD = '[[prediction]]\nsays = "It is so"\ntable = "verdicts"\n'


def write(folder, text):
    path = folder / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rest", "outcome", "verdict"),
    [
        ('row = {method = "a"}\ncolumn = "bits/byte"\nlow = 1.5\nhigh = 1.5', "1.500", "right"),
        ('row = {method = "a"}\ncolumn = "bits/byte"\nhigh = 1.49', "1.500", "wrong"),
        ('row = {method = "a"}\ncolumn = "bits/byte"\nlow = 1.51', "1.500", "wrong"),
        ('row = {method = "b", "bits/byte" = 1.25}\ncolumn = "bits/byte"\nlow = 0.0', "1.250", "right"),
        ('row = {method = "a"}\ncolumn = "verdict"\nexpect = ["better", "worse"]', "worse", "right"),
        ('row = {method = "a"}\ncolumn = "verdict"\nexpect = ["better"]', "worse", "wrong"),
        ('row = {method = "a"}\ncolumn = "verdict"\nlow = 1.0', "worse", "wrong"),
        ('row = {method = "b"}\ncolumn = "verdict"\nexpect = ["better"]', "", "no outcome"),
        ('row = {method = "c"}\ncolumn = "verdict"\nexpect = ["better"]', "", "no outcome"),
        ('row = {method = "a"}\ncolumn = "other"\nlow = 1.0', "", "no outcome"),
    ],
)
def test_a_cell_is_found_and_judged(tmp_path, rest, outcome, verdict):
    path = write(tmp_path, HEAD + rest)
    table = judge_predictions(read_predictions(path), [TABLE], path, tmp_path / "units")
    assert table.rows[0][2:] == [outcome, verdict]
    assert table.note.startswith(f"{int(verdict == 'right')} of {int(verdict != 'no outcome')} right.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[prediction", "no TOML file"),
        ("[prediction]\n", "expected [[prediction]] sections"),
        ('[[predictions]]\nsays = "x"\n', "expected [[prediction]] sections"),
        (HEAD + "low = 1.0", "prediction 1: 'column' is missing"),
        (HEAD + 'column = "verdict"', "either 'expect'"),
        (HEAD + 'column = "verdict"\nexpect = ["worse"]\nlow = 1.0', "either 'expect'"),
        (
            HEAD + 'column = "verdict"\nlow = 1.0\n' + HEAD + 'columns = "verdict"',
            "prediction 2: unknown field 'columns'",
        ),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, text, message):
    with pytest.raises(UserError) as raised:
        read_predictions(write(tmp_path, text))
    assert message in str(raised.value)


def test_no_file_predicts_nothing(tmp_path):
    assert read_predictions(tmp_path / "none.toml") == []


@pytest.mark.parametrize("too_late", [False, True])
def test_what_is_committed_after_the_first_run_is_said(tmp_path, too_late):
    path = write(tmp_path, HEAD + 'row = {method = "a"}\ncolumn = "verdict"\nexpect = ["worse"]')
    date = {"GIT_COMMITTER_DATE": "1000000000 +0000", "GIT_AUTHOR_DATE": "1000000000 +0000"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "Predict"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True, env={**os.environ, **date})
    unit = tmp_path / "units/one/manifest.json"
    unit.parent.mkdir(parents=True)
    unit.touch()
    os.utime(unit, (999_999_999, 999_999_999) if too_late else (1_000_000_001, 1_000_000_001))
    note = judge_predictions(read_predictions(path), [TABLE], path, tmp_path / "units").note
    assert "committed 2001-09-09 01:46 UTC" in note
    assert ("no predictions" in note) == too_late
