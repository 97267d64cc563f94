"""Sections on the text: the data funnel, and the tokenizer."""

from __future__ import annotations

from collections import Counter
from functools import partial

from baichuan_jax.lab import funnel
from baichuan_jax.lab.markup import Html, table, tag
from baichuan_jax.lab.page import Canvas
from baichuan_jax.lab.plots import COLORS, GREEN, GREY, Plot, bar_height, bars, stack
from baichuan_jax.lab.run_files import RunRecord

REASON_COLORS = tuple(color for color in COLORS if color != GREEN)  # one reason each; further reasons are other
VISIBLE = 0.005  # share of a domain's text below which a reason is other, too
NOTHING = {"documents": 0, "bytes": 0}


def data(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return the section on the funnel: read, kept, and removed by reason."""
    result = run.results["data"]
    domains, speed = result["funnel"], result["megabytes_per_second"]
    other = "Other: rarer reasons, and what normalisation and lost sentences took from documents that were kept."
    return [
        canvas.figures(_funnel_plot(domains), notes={"funnel": other}),
        funnel.kept(result),
        tag(
            "p",
            f"The share is of bytes. Invalid UTF-8: characters U+FFFD put in for it. Cleaned at {speed:.1f} MB/s.",
            class_="note",
        ),
        *(funnel.removed(domain, counts) for domain, counts in domains.items() if counts["removed"]),
        *funnel.sentences(domains),
        *funnel.quality(result["quality"]),
    ]


def _funnel_plot(domains: dict[str, dict]) -> Plot:
    largest: Counter[str] = Counter()  # share of the text that a reason removed, where it removed most
    for counts in domains.values():
        largest |= Counter(
            {why: count["bytes"] / max(1, counts["read"]["bytes"]) for why, count in counts["removed"].items()}
        )
    drawn = [reason for reason, share in largest.most_common(len(REASON_COLORS)) if share >= VISIBLE]
    shares = [_shares(counts, drawn) for counts in domains.values()]
    series = {verdict: [share[verdict] for share in shares] for verdict in shares[0]}
    said = ", ".join(f"{domain} {funnel.share_kept(counts)}" for domain, counts in domains.items())
    colors = (GREEN, *REASON_COLORS[: len(drawn)], GREY)
    return Plot(
        "funnel",
        "What became of the text",
        f"Share of the bytes read that was kept: {said}; the rest by the reason it was removed for.",
        partial(stack, names=list(domains), series=series, colors=colors, unit="% of bytes"),
        bar_height(len(domains)),
    )


def _shares(counts: dict, drawn: list[str]) -> dict[str, float]:
    """Return percentages of the text: kept, removed for each reason in `drawn`, and other."""
    sizes = {"kept": counts["kept"]["bytes"]}
    sizes |= {reason: counts["removed"].get(reason, NOTHING)["bytes"] for reason in drawn}
    sizes["other"] = max(0, counts["read"]["bytes"] - sum(sizes.values()))  # normalisation can lengthen a text as well
    whole = max(1, sum(sizes.values()))  # of a file that could not be opened there is nothing
    return {verdict: 100 * size / whole for verdict, size in sizes.items()}


def tokenizer(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return the section on the compression of held-out text by domain."""
    result = run.results["tokenizer"]
    compression = result["compression"]
    rates = [rates["bytes_per_token"] for rates in compression.values()]
    tokens = run.results.get("tokens", {}).get("domains", {})
    plot = Plot(
        "compression",
        "Bytes per token",
        "Bytes per token: " + ", ".join(f"{name} {rate:.2f}" for name, rate in zip(compression, rates)) + ".",
        partial(bars, names=list(compression), series={"": rates}, colors=COLORS, unit="bytes per token"),
        bar_height(len(compression)),
    )
    rows = [
        [
            domain,
            f"{rates['bytes_per_token']:.3f}",
            f"{rates['tokens_per_character']:.3f}",
            *(f"{tokens[domain][split]['tokens']:,}" if tokens else "" for split in ("train", "validation")),
        ]
        for domain, rates in compression.items()
    ]
    head = ["domain", "bytes per token", "tokens per character", "tokens to train on", "tokens held out"]
    return [
        tag("p", f"{result['vocab']:,} pieces. Compression is measured on held-out text."),
        canvas.figures(plot),
        table("Compression, and tokens in the corpus", head, rows),
    ]
