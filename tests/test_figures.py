"""Every figure that README and docs/results.md quote stands in the committed results that it comes from."""

import json
import re
import sys
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from experiments.benchmarks.keep_results import RESULTS, printed_by

ROOT = Path(__file__).parents[1]
ROWS = [
    line
    for line in (ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| claim |")
]
NUMBER = re.compile(r"(?<![\w.\-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(M?)(?!\w)")
WANTED = re.compile(r"\([^()]*wanted[^()]*\)")  # what was asked for is no result
ABOUT = {"command", "commit", "changes", "date", "machine", "origin", "settings", "versions"}  # are no figures either

# What README quotes, by how a paragraph begins: the files that it comes from, and numbers that nobody measured.
QUOTED = {
    "On one H200": (("train_h200",), {"7"}),
    "on 2 cores": (("quickstart",), {"2"}),
    "| domain | source | model": (("quickstart",), {"-19", "1998"}),
    "Training takes": (("quickstart", "quickstart_times"), set()),
    "**Which mix?**": (("zh_en_ratio", "data_mix"), {"95"}),
    "**Names written wrong**": (("entity_repair",), set()),
    "**How fast can it be?**": ((), {"2.50"}),
    "Requirements: Python": ((), {"3.11"}),
    "| exit code | meaning": ((), {"2", "75", "130"}),
    "[ is the published shape": ((), {"7,000,559,616", "1e-5"}),
}


def value_of(match: re.Match) -> float:
    """Return the number that a text quotes; 7.4M is millions."""
    return float(match[0].replace(",", "").rstrip("M")) * (1e6 if match[1] else 1)


def numbers(value) -> list[float]:
    """Return every number of a JSON value, those in its strings too."""
    match value:
        case dict():
            return [number for name, each in value.items() if name not in ABOUT for number in numbers(each)]
        case list():
            return [number for each in value for number in numbers(each)]
        case bool() | None:
            return []
        case str():
            return [value_of(found) for found in NUMBER.finditer(value)]
    return [float(value)]


def missing(text: str, known: list[float]) -> list[str]:
    """Return the numbers of a text that are no rounding of a known one."""
    found = []
    for match in NUMBER.finditer(text):
        digits = len(match[0].rstrip("M").partition(".")[2]) - (6 if match[1] else 0) if "e" not in match[0] else 12
        if round(value_of(match), 12) not in {round(value, digits) for value in known}:
            found.append(match[0])
    return found


def known_of(names) -> list[float]:
    return [number for name in names for number in numbers(json.loads((RESULTS / f"{name}.json").read_text("utf-8")))]


def paragraphs() -> list[str]:
    """Return the paragraphs and tables of README without code and the addresses of links."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|\]\([^)]*\)", "", text, flags=re.DOTALL | re.MULTILINE)
    return [part.strip() for part in re.split(r"\n\s*\n", re.sub(r"`[^`]*`", "", text)) if part.strip()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0][2:60])
def test_the_figures_of_a_row_are_in_its_file(row):
    """The file that the row links, or the test that it names, which asserts the figure."""
    claim, figure, command, _ = row.strip("| ").split(" | ")
    files = re.findall(r"\]\(\.\./experiments/results/(\w+)\.json\)", command)
    known = known_of(files) or numbers((ROOT / re.search(r"tests/[\w/]+\.py", command)[0]).read_text("utf-8"))
    assert NUMBER.search(figure) or "cannot tell" in figure or "the same bits" in figure, claim
    assert missing(WANTED.sub("", figure), known) == []


def test_the_figures_of_the_readme_are_in_files():
    """A number that is new in README comes from a file, or is in the table of those that nobody measured."""
    unknown, used = {}, set()
    for paragraph in paragraphs():
        start = next((start for start in QUOTED if paragraph.startswith(start)), "")
        used.add(start)
        files, settled = QUOTED.get(start, ((), set()))
        if left := set(missing(paragraph, known_of(files))) - settled:
            unknown[start or paragraph[:40]] = left
    assert unknown == {}
    assert set(QUOTED) <= used


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_says_where_its_figures_are_from(path):
    value = json.loads(path.read_text(encoding="utf-8"))
    if "printed" in value:
        assert re.fullmatch(r"[0-9a-f]{7,40}", value["commit"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", value["date"])
        assert value["command"]
    else:
        assert "versions" in value or "evaluate" in value  # of an experiment, or a run


def test_what_a_command_prints_is_kept():
    kept = printed_by([sys.executable, "-c", "print('rate 1,234 tokens/s'); print('ratio 1.02')"])
    assert kept["printed"] == ["rate 1,234 tokens/s", "ratio 1.02"]
    assert missing("1.02 times as fast, 1,234 tokens/s", numbers(kept)) == []
    with pytest.raises(UserError, match="exit code 3"):
        printed_by([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_changed_figure_is_noticed():
    assert missing("0.305 (0.286 to 0.525)", [0.305, 0.285, 0.525]) == ["0.286"]
    assert missing("46,029 texts, 7.4M parameters, within 1e-5", [46_028.0, 7_412_345.0, 1e-4]) == ["46,029", "1e-5"]
