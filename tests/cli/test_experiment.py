"""The verb `experiment`, over experiments written here."""

import csv
import json
import sys

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.recipe import experiments
from tests.lab.checker import Checker

SOURCE = '''"""Twice as large: what doubling does.

Command: baichuan-jax experiment twice_as_large
"""
from dataclasses import dataclass, field

from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.sweep import run_units, values


@dataclass(frozen=True)
class Inner:
    """power: of two."""

    power: int = 1


@dataclass(frozen=True)
class TwiceAsLarge:
    """numbers: what is doubled."""

    workdir: str = "runs/experiments/twice_as_large"
    numbers: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)


def run(cfg, directory, progress):
    def build(point, folder):
        return {"value": point["number"] * 2 ** point["power"], "share": point["number"] / 3}

    points = [{"number": n, "power": cfg.inner.power} for n in cfg.numbers]
    results = run_units(directory / "units", points, build, progress)
    rows = [[str(n), r["value"], r["share"], None] for n, r in zip(cfg.numbers, results)]
    plot = Plot("line", "A line", "It rises.", lambda axes: axes.plot([r[1] for r in rows]))
    table = Table("doubled", "Doubled <numbers>", ["number", "value", "share", "none"], rows, "A note & more.")
    return Outcome("Doubling doubles.", [table], [plot])
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a repository with two experiments and a file without one; the current directory is another."""
    folder = tmp_path / "repository" / "experiments"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "twice_as_large.py").write_text(SOURCE)
    (folder / "bench_it.py").write_text("def run(): pass\n")
    monkeypatch.setattr(experiments, "SHIPPED", folder.parent)
    monkeypatch.setattr(experiments, "FOLDER", folder)
    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        del sys.modules[name]


def test_the_record(folder, tmp_path, capsys):
    assert main(["experiment", "twice_as_large", "--set", "TwiceAsLarge.numbers=(1, 5)", "--set", "Inner.power=3"]) == 0
    printed = capsys.readouterr().out
    assert "Doubled <numbers>" in printed
    assert "Doubling doubles." in printed
    directory = tmp_path / "runs/experiments/twice_as_large"
    with (directory / "tables/doubled.csv").open() as file:
        assert list(csv.reader(file))[1:] == [["1", "8", str(1 / 3), ""], ["5", "40", str(5 / 3), ""]]
    assert json.loads((directory / "tables/doubled.json").read_text())[1] == {
        "number": "5",
        "value": 40,
        "share": 5 / 3,
        "none": None,
    }
    record = json.loads((directory / "record.json").read_text())
    assert "TwiceAsLarge.numbers = (1, 5)" in record["settings"]
    assert "Inner.power = 3" in record["settings"]
    assert {"python", "sentencepiece"} <= set(record["versions"])
    assert (directory / "plots/line.png").read_bytes().startswith(b"\x89PNG")
    page = Checker((directory / "report.html").read_text())
    assert "svg" in page.tags
    assert {"Doubled <numbers>", "A note & more.", "1.667"} <= set(page.text)


def test_the_record_loads_again_and_units_are_kept(folder, tmp_path, capsys):
    assert main(["experiment", "twice_as_large"]) == 0
    directory = tmp_path / "runs/experiments/twice_as_large"
    first = sorted((directory / "units").glob("*/manifest.json"))
    stamps = [path.stat().st_mtime_ns for path in first]
    assert main(["experiment", "twice_as_large", str(directory / "config.gin")]) == 0
    assert [path.stat().st_mtime_ns for path in first] == stamps
    assert main(["experiment", "twice_as_large", "--set", "TwiceAsLarge.numbers=(2, 7)"]) == 0
    assert len(list((directory / "units").glob("*/manifest.json"))) == 3


def test_the_list(folder, capsys):
    assert main(["experiment"]) == 0
    assert capsys.readouterr().out.split() == ["twice_as_large", *"Twice as large: what doubling does.".split()]


def test_the_help_after_a_name_lists_its_settings(folder, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["experiment", "twice_as_large", "--help"])
    assert ended.value.code == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {"TwiceAsLarge.numbers=(1, 2)", "Inner.power=1"} <= set(lines)
    with pytest.raises(SystemExit) as ended:
        main(["experiment", "twice_as_lagre", "--help"])
    assert ended.value.code == 2
    assert "did you mean 'twice_as_large'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["experiment", "--help"])
    assert "settings (--set)" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["twice_as_lagre"], "unknown experiment 'twice_as_lagre'; did you mean 'twice_as_large'?"),
        (["bench_it"], "unknown experiment 'bench_it'"),
        (["twice_as_large", "--set", "TwiceAsLarge.number=1"], "did you mean 'numbers'?"),
        (["twice_as_large", "--set", "TwiceAsLarge.numbers=1"], "expected tuple[int, ...], got int"),
        (["twice_as_large", "--set", "numbers=(1,)"], "did you mean TwiceAsLarge.numbers?"),
        (["twice_as_large", "--set", "TwiceAsLarge.workdir=/proc/x"], "TwiceAsLarge.workdir = '/proc/x': no directory"),
    ],
)
def test_mistakes(folder, capsys, arguments, message):
    assert main(["experiment", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_failure_leaves_no_record_of_an_earlier_call(folder, tmp_path):
    assert main(["experiment", "twice_as_large"]) == 0
    path = folder / "twice_as_large.py"
    path.write_text(path.read_text() + "\n\ndef run(cfg, directory, progress):\n    raise KeyboardInterrupt\n")
    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        del sys.modules[name]
    assert main(["experiment", "twice_as_large"]) == 130
    assert not (tmp_path / "runs/experiments/twice_as_large/record.json").exists()
