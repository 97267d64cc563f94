"""The report of a run: one page and its plots."""

from __future__ import annotations

from math import prod
from pathlib import Path
from statistics import mean

from baichuan_jax.core.files import write_text
from baichuan_jax.lab import corpus, outcome, training
from baichuan_jax.lab.markup import Html, details, join, table, tag
from baichuan_jax.lab.numbers import SPACE, duration, short
from baichuan_jax.lab.page import Canvas, page
from baichuan_jax.lab.run_files import Run, read_run

PAGE = "report.html"


def write_report(workdir: Path, directory: Path) -> dict:
    """Write report.html and plots/*.png about the finished stages in `workdir`; return where they are."""
    run, canvas = read_run(workdir), Canvas(directory / "plots")
    sections = [
        (heading, join(write(run, canvas), "\n"))
        for heading, (stage, write) in SECTIONS.items()
        if stage is None or stage in run.results
    ]
    write_text(directory / PAGE, page(run.name, summary(run), sections))
    return {"page": str(directory / PAGE), "plots": [str(path) for path in canvas.files]}


def summary(run: Run) -> Html:
    """Return the run in one sentence."""
    seconds = sum(result["seconds"] for result in run.results.values())
    facts = [f"{duration(seconds)} for all stages"]
    if train := run.results.get("train"):
        devices = SPACE.join((str(prod(train["mesh"].values())), "×", train["device"]))
        facts = [f"{short(train['parameters'])} parameters", f"{short(train['tokens'])} tokens", devices, *facts]
    sentence = [", ".join(facts)]
    if evaluate := run.results.get("evaluate"):
        domains = evaluate["domains"].values()
        model, unigram = (mean(row[key] for row in domains) for key in ("bits_per_byte", "unigram"))
        sentence += [": ", tag("strong", f"{model:.3f} bits per byte"), f" on held-out text (unigram: {unigram:.3f})"]
    return join([*sentence, "."])


def record(run: Run, canvas: Canvas) -> list[Html]:
    """Stage times, package versions and the config."""
    times = [[stage, duration(result["seconds"])] for stage, result in run.results.items()]
    return [
        table("Stage times", ["stage", "time"], times),
        tag("p", "A stage that was interrupted counts from its last start.", class_="note"),
        details("Config", tag("pre", run.config)),
        details("Versions", table("Of the stages", ["package", "version"], _versions(run))),
    ]


def _versions(run: Run) -> list[list[str]]:
    packages = dict.fromkeys(name for versions in run.versions.values() for name in versions)
    found = {name: dict.fromkeys(versions[name] for versions in run.versions.values()) for name in packages}
    return [[name, ", then ".join(values)] for name, values in found.items()]


# Heading -> the stage that it tells of (None: any), and the function that writes it.
SECTIONS = {
    "Bits per byte": ("evaluate", outcome.bits_per_byte),
    "Training": ("train", training.training),
    "Samples": ("generate", outcome.samples),
    "Data": ("data", corpus.data),
    "Tokenizer": ("tokenizer", corpus.tokenizer),
    "Record": (None, record),
}
