"""Runs beside each other: exactly the settings that differ, and only figures that compare."""

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.lab.experiment import write_outcome
from baichuan_jax.recipe.compare import compare
from tests.lab.checker import Checker


def tables(outcome) -> dict[str, list]:
    return {table.name: table.rows for table in outcome.tables}


def test_runs_that_differ_in_three_settings_show_these_three(sweep):
    three = {"OptimConfig.peak_lr": (1e-3, 2e-3), "OptimConfig.warmup_steps": (2, 3), "TrainConfig.batch": (8, 4)}
    plan, _ = sweep([f"{name}={list(values)}" for name, values in three.items()], {"SweepConfig.zip": True})
    found = tables(compare([plan.runs / "0000", plan.runs / "0001"]))
    assert sorted(found["settings"]) == sorted([name, *map(str, values)] for name, values in three.items())
    assert dict(row[::3] for row in [[*row, ""] for row in found["settings"]]) == dict.fromkeys(three, "")


def test_figures_have_errors_and_the_differences_are_window_by_window(sweep, tmp_path):
    plan, _ = sweep(["OptimConfig.peak_lr=[1e-3, 2e-3]"])
    outcome = compare([plan.runs / "0000", plan.runs / "0001"])
    first, second = tables(outcome)["bits_per_byte"][:2]
    assert first[:3] == ["zh", "0000", pytest.approx(2.1)]
    assert first[3] > 0.05, "windows vary"
    value, low, high, verdict = second[4:]
    assert (value, low, high) == (pytest.approx(-0.1), pytest.approx(-0.1), pytest.approx(-0.1)), (
        "alike in every window"
    )
    assert verdict == "lower"
    training = {row[0]: row[1:] for row in tables(outcome)["training"]}
    assert training["loss at the end, nats per token"] == [1.0, 1.0]
    assert training["GFLOPs of a step"][0] > 0
    assert training["most memory of the process, MiB"][0] > 10
    page = Checker(write_outcome("Comparison", outcome, tmp_path / "page").read_text())
    assert "OptimConfig.peak_lr" in page.text


def test_one_window_has_no_known_error(sweep):
    plan, _ = sweep(["OptimConfig.peak_lr=[1e-3, 2e-3]"])
    for name in ("0000", "0001"):
        write_json(plan.runs / name / "evaluate" / "windows.json", {"zh": {"bits": [5.0], "bytes": [2]}})
    first, second = tables(compare([plan.runs / "0000", plan.runs / "0001"]))["bits_per_byte"][:2]
    assert first[3:] == [None, None, None, None, ""]
    assert second[3:] == [None, pytest.approx(-0.1), None, None, "no error is known"]


def test_other_tokenizers_are_compared_by_bits_per_byte_alone(sweep):
    plan, _ = sweep(["VOCAB=[512, 400]"])
    outcome = compare([plan.runs / "0000", plan.runs / "0001"])
    quantities = {row[0] for row in tables(outcome)["training"]}
    assert not {"loss at the end, nats per token", "tokens per second", "tokens"} & quantities
    assert any("different tokenizers" in note for note in outcome.notes)
    assert {row[0] for row in tables(outcome)["settings"]} == {"TokenizerConfig.vocab", "DecoderConfig.vocab"}
    assert tables(outcome)["bits_per_byte"]


def test_a_sweep_stands_for_its_best_point_and_a_run_has_its_record(sweep):
    plan, _ = sweep(["OptimConfig.peak_lr=[1e-3, 2e-3]"])
    found = tables(compare([plan.directory, plan.runs / "0000"]))
    assert found["settings"] == [["OptimConfig.peak_lr", "0.002", "0.001"]]
    manifest = read_json(plan.runs / "0000" / "train" / "manifest.json")
    assert set(manifest["code"]) == {"commit", "changes"}
    assert manifest["peak_host_memory_bytes"] > 10e6


def experiment(folder, settings, cells):
    record = {"experiment": "e", "settings": settings, "versions": {"jax": "1"}, "tables": ["t"]}
    write_json(folder / "tables" / "t.json", [{"name": name, "value": value} for name, value in cells.items()])
    write_json(folder / "record.json", record)
    return folder


def test_experiments_by_settings_and_cells(tmp_path):
    one = experiment(tmp_path / "one", ["E.workdir = 'a'", "E.steps = 1"], {"x": 1, "y": 2})
    two = experiment(tmp_path / "two", ["E.workdir = 'b'", "E.steps = 2"], {"x": 1, "y": 3})
    found = tables(compare([one, two]))
    assert found == {"settings": [["E.steps", "1", "2"]], "t_differences": [["y", "value", 2, 3]]}


def test_mistakes(sweep, tmp_path):
    one = experiment(tmp_path / "one", [], {})
    for places, message in (
        ([one, one], "two directories or more"),
        ([one, tmp_path], "is an experiment, and others are not"),
        ([tmp_path, tmp_path / "x"], "there is no run, sweep or experiment"),
    ):
        with pytest.raises(UserError, match=message):
            compare(places)
