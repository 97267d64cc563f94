"""Sections on the trained model: bits per byte, and samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import sqrt
from statistics import mean

from baichuan_jax.lab.markup import Html, join, prose, table, tag
from baichuan_jax.lab.page import Canvas
from baichuan_jax.lab.plots import BLUE, GREY, ORANGE, Plot, bar_height, bars, by_position, curves
from baichuan_jax.lab.run_files import RunRecord

SERIES = {"model": "bits_per_byte", "unigram": "unigram", "zstd -19": "zstd"}


def bits_per_byte(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return bits per byte by domain with the baselines, at the end and during training."""
    rows = run.results["evaluate"]["domains"]
    means = {label: mean(row[key] for row in rows.values()) for label, key in SERIES.items()}
    series = {label: [row[key] for row in rows.values()] for label, key in SERIES.items()}
    said = ", ".join(f"{label} {value:.3f}" for label, value in means.items())
    end = Plot(
        "bits_per_byte",
        "Held-out text, at the end",
        f"Bits per byte of {len(rows)} domains, mean: {said}. The table below has every number.",
        partial(bars, names=list(rows), series=series, colors=(BLUE, GREY, ORANGE), unit="bits per byte"),
        bar_height(len(rows), len(series)),
    )
    return [
        canvas.figures(end, *on_the_way(run), *_against_position(rows)),
        table(
            "Held-out bits per byte (lower is better)",
            ["domain", *SERIES, "bytes", "tokens"],
            [
                *([name, *_bits(row), f"{row['bytes']:,}", f"{row['tokens']:,}"] for name, row in rows.items()),
                ["mean", *(f"{value:.3f}" for value in means.values()), "", ""],
            ],
        ),
        _beside_unigram(rows),
        tag(
            "p",
            "Unigram is a model that knows only how frequent each token is in the training text; zstd -19 compresses "
            "the held-out text on its own. Bits per byte compare across tokenizers; loss per token does not. The mean "
            "weighs every domain alike. Against position: positions in a window of tokens, in ranges that double.",
            class_="note",
        ),
    ]


def _beside_unigram(rows: dict[str, dict]) -> Html:
    worse = [
        f"{name} ({row['bits_per_byte']:.3f}, unigram {row['unigram']:.3f})"
        for name, row in rows.items()
        if row["bits_per_byte"] >= row["unigram"]
    ]
    if worse:
        return tag("p", tag("strong", "No better than the unigram baseline"), f": {', '.join(worse)}.")
    return tag("p", "The model is better than the unigram baseline in every domain.")


def _bits(row: dict) -> list[str]:
    return [f"{row[key]:.3f}" for key in SERIES.values()]


def on_the_way(run: RunRecord) -> list[Plot]:
    """Return the plot of the evaluations during training."""
    if not run.validations:
        return []
    alt = "Validation bits per byte of every domain against steps"
    drawn = {"unit": "bits per byte", "tokens_per_step": run.tokens_per_step}
    return [validation_plot("validation", "Validation during training", alt, run.validations, **drawn)]


def validation_plot(name: str, title: str, alt: str, records: Sequence[dict], unit: str, tokens_per_step: int) -> Plot:
    """Return the plot of evaluations against steps, a line for each domain. alt: its description without numbers."""
    steps, last = [record["step"] for record in records], records[-1]["validation"]
    lines = {domain: (steps, [record["validation"][domain] for record in records]) for domain in last}
    said = ", ".join(f"{domain} {value:.3f}" for domain, value in last.items())
    paint = partial(curves, lines=lines, unit=unit, tokens_per_step=tokens_per_step)
    return Plot(name, title, f"{alt}; at step {steps[-1]}: {said}.", paint)


def _against_position(rows: dict[str, dict]) -> list[Plot]:
    rows = {domain: row["by_position"] for domain, row in rows.items() if row.get("by_position")}
    if not rows:
        return []
    lines = {
        domain: ([sqrt(part["first"] * part["last"]) for part in parts], [part["bits_per_byte"] for part in parts])
        for domain, parts in rows.items()
    }
    farthest = ", ".join(f"{domain} {parts[-1]['bits_per_byte']:.3f}" for domain, parts in rows.items())
    alt = f"Held-out bits per byte against the number of tokens before; of the farthest positions: {farthest}."
    return [Plot("position", "Against position", alt, partial(by_position, lines=lines, unit="bits per byte"))]


def samples(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return the prompts and their continuations."""
    found = run.results["generate"]["samples"]
    if not found:
        return [tag("p", "The config has no prompts.", class_="note")]
    return [
        tag("p", "Prompts are ", tag("mark", "marked"), "; the model wrote the rest.", class_="note"),
        *(prose(tag("mark", sample["prompt"]), _continuation(sample["text"])) for sample in found),
    ]


def _continuation(text: str) -> object:
    if not text:
        return tag("cite", "No text: the first token was the end of the text, a stop string, or a part of a character.")
    return text if text.strip() else join((text, tag("cite", "White space only.")))
