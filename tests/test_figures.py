"""Figures that docs/results.md and the README quote stand in the committed results that they name."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [line for line in (ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines() if "[figures](" in line]
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+\.\d+")
WANTED = re.compile(r"\([^()]*wanted[^()]*\)")


def numbers(value) -> list[float]:
    """Return every number of a JSON value, those in its strings too."""
    match value:
        case dict():
            return [number for each in value.values() for number in numbers(each)]
        case list():
            return [number for each in value for number in numbers(each)]
        case bool() | None:
            return []
        case str():
            return [float(number) for number in re.findall(r"[-+]?\d+\.\d+", value)]
    return [float(value)]


def missing(text: str, known: list[float]) -> list[str]:
    """Return the numbers of a text that are no rounding of a known one."""
    digits = lambda quoted: len(quoted.partition(".")[2])
    return [quoted for quoted in NUMBER.findall(text) if float(quoted) not in {round(x, digits(quoted)) for x in known}]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_figures_of_a_row_are_in_its_file(row):
    figure, source = row.split("|")[2], re.search(r"\[figures\]\(\.\./(.+?)\)", row)[1]
    known = numbers(json.loads((ROOT / source).read_text(encoding="utf-8")))
    assert NUMBER.search(figure) or "cannot tell" in figure
    assert missing(WANTED.sub("", figure), known) == []


def test_the_mix_that_the_readme_quotes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r"\*\*Which mix\?\*\*.*?\n\n", readme, re.DOTALL)[0]
    known = numbers(json.loads((ROOT / "experiments/results/zh_en_ratio.json").read_text(encoding="utf-8")))
    assert NUMBER.search(quoted)
    assert missing(quoted, known) == []


def test_a_changed_figure_is_noticed():
    assert missing("0.305 (0.286 to 0.525)", [0.305, 0.285, 0.525]) == ["0.286"]
