"""The report of a run: one page and its plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import mean

from baichuan_jax.core.files import write_text
from baichuan_jax.lab.markup import Html, details, join, table, tag
from baichuan_jax.lab.numbers import SPACE, duration, short
from baichuan_jax.lab.page import Canvas, page
from baichuan_jax.lab.run_files import RunRecord, read_run

PAGE = "report.html"
Section = tuple[str, str, Callable[[RunRecord, Canvas], list[Html]]]  # heading, the stage it tells of, its writer


def write_report(workdir: Path, directory: Path, places: Mapping[str, Path], told: Sequence[Section]) -> dict:
    """Write report.html and plots/*.png about those stages of the run in `workdir` that are finished, and training.

    places: the directory of each. told: the sections, in the order of the page. Return {"page", "plots"}: where they
    are.
    """
    run, canvas = read_run(workdir, places), Canvas(directory / "plots")
    begun = {*run.results, *(["train"] if run.steps else [])}
    sections = [(heading, join(write(run, canvas), "\n")) for heading, stage, write in told if stage in begun]
    sections.append(("Record", join(record(run), "\n")))
    write_text(directory / PAGE, page(run.name, summary(run), sections))
    return {"page": str(directory / PAGE), "plots": [str(path) for path in canvas.files]}


def summary(run: RunRecord) -> Html:
    """Return the run in one sentence."""
    seconds = sum(result["seconds"] for result in run.results.values())
    facts = [f"{duration(seconds)} for all {'finished ' if 'evaluate' not in run.results else ''}stages"]
    if train := run.results.get("train"):
        devices = SPACE.join((str(prod(train["mesh"].values())), "×", train["device"]))
        facts = [f"{short(train['parameters'])} parameters", f"{short(train['tokens'])} tokens", devices, *facts]
    elif run.steps:
        facts = [f"in training: step {run.steps[-1]['step']:,} of {run.number('TrainConfig.steps'):,}", *facts]
    sentence = [", ".join(facts)]
    if evaluate := run.results.get("evaluate"):
        domains = evaluate["domains"].values()
        model, unigram = (mean(row[key] for row in domains) for key in ("bits_per_byte", "unigram"))
        sentence += [": ", tag("strong", f"{model:.3f} bits per byte"), f" on held-out text (unigram: {unigram:.3f})"]
    return join([*sentence, "."])


def record(run: RunRecord) -> list[Html]:
    """Return stage times, package versions and the config."""
    times = [
        [stage, duration(result["seconds"]), _memory(run, stage), run.taken.get(stage, "this run"), _code(run, stage)]
        for stage, result in run.results.items()
    ]
    return [
        table("Stages", ["stage", "time", "most memory of its process", "made by", "code"], times),
        tag("p", "A stage that was interrupted counts from its last start.", class_="note"),
        details("Config", tag("pre", run.config)),
        details("Versions", table("Of the stages", ["package", "version"], _versions(run))),
    ]


def _memory(run: RunRecord, stage: str) -> str:
    size = run.peak_host_memory[stage]
    return f"{size / 2**30:.2f} GiB" if size else ""


def _code(run: RunRecord, stage: str) -> str:
    code = run.code[stage]
    return f"{code['commit'][:10]}{' with changes' if code['changes'] else ''}" if code.get("commit") else ""


def _versions(run: RunRecord) -> list[list[str]]:
    packages = dict.fromkeys(name for versions in run.versions.values() for name in versions)
    found = {name: dict.fromkeys(versions[name] for versions in run.versions.values()) for name in packages}
    return [[name, ", then ".join(values)] for name, values in found.items()]
