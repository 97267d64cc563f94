"""The page of a data step: its funnel, and the texts behind the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from baichuan_jax.core.files import write_text
from baichuan_jax.lab import funnel
from baichuan_jax.lab.markup import Html, details, escape, join, table, tag
from baichuan_jax.lab.numbers import percent, short
from baichuan_jax.lab.page import page

CHARACTERS = 2000  # shown of a document


def write_page(name: str, result: dict, kept: dict[str, list[dict]], pairs: dict[str, list[dict]], path: Path) -> None:
    """Write one self-contained HTML file. Browsers find folded text in it.

    name: of the run. result: of the stage data, its funnel with the domains and the samples to show. kept: documents of
    each domain. pairs: near-duplicates of each domain, {"gone": {"source", "text"}, "kept": {"source", "text"}}.
    """
    sections = [("All domains", join(_overview(result), "\n"))]
    for domain, counts in result["funnel"].items():
        parts = [
            _funnel(domain, counts),
            *_scores(result["domains"][domain]["scores"]),
            *_samples("Documents removed", "documents", counts["removed"]),
            *_samples("Sentences taken out", "sentences", counts["pruned"]),
            *_folded(
                f"Near-duplicates: {funnel.BESIDE}", [funnel.pair(row["gone"], row["kept"]) for row in pairs[domain]]
            ),
            *_folded("Documents kept", map(_kept, kept[domain])),
        ]
        sections.append((domain, join(parts, "\n")))
    write_text(path, page(f"{name}: data", _lead(result["funnel"]), sections))


def _lead(domains: dict[str, dict]) -> Html:
    documents, size = (sum(counts["kept"][key] for counts in domains.values()) for key in ("documents", "bytes"))
    return escape(
        f"{documents:,} documents kept, {short(size, 'B')} of text. Below: what went and why, and what stayed."
    )


def _overview(result: dict) -> list[Html]:
    return [
        funnel.kept(result),
        tag("p", "The share is of bytes.", class_="note"),
        *funnel.sentences(result["funnel"]),
        *funnel.quality(result["quality"]),
    ]


def _funnel(domain: str, counts: dict) -> Html:
    entries = [("read", counts["read"]), *funnel.ordered(counts["removed"]), ("kept", counts["kept"])]
    rows = [
        [
            reason,
            f"{entry['documents']:,}",
            percent(entry["documents"], counts["read"]["documents"]),
            short(entry["bytes"], "B"),
            percent(entry["bytes"], counts["read"]["bytes"]),
        ]
        for reason, entry in entries
    ]
    return table(f"{domain}, by reason", ["", "documents", "share", "text", "share"], rows)


def _scores(histogram: Sequence[int]) -> list[Html]:
    """Return a histogram of scores as SVG bars, if any document has a score."""
    if not any(histogram):
        return []
    number, highest = len(histogram), max(histogram)
    bars = (
        tag("rect", x=i + 0.05, y=f"{1 - count / highest:.4f}", width=0.9, height=f"{count / highest:.4f}")
        for i, count in enumerate(histogram)
    )
    said = f"Scores of documents kept, from 0 on the left to 1 on the right; the highest bar is {highest:,} documents."
    drawing = tag(
        "svg",
        *bars,
        class_="bars",
        role="img",
        viewBox=f"0 0 {number} 1",
        preserveAspectRatio="none",
        fill="currentColor",
        **{"aria-label": f"{said} {', '.join(map(str, histogram))}"},
    )
    return [tag("figure", drawing, tag("figcaption", said))]


def _samples(title: str, unit: str, entries: dict[str, dict]) -> list[Html]:
    found = [
        funnel.samples(f"{reason}: {entry['documents']:,} {unit}, for example", entry)
        for reason, entry in funnel.ordered(entries)
        if entry["samples"]
    ]
    return [tag("h3", title), *found] if found else []


def _folded(title: str, parts: Iterable[Html]) -> list[Html]:
    found = list(parts)
    return [details(f"{title} ({len(found)})", *found)] if found else []


def _kept(document: dict) -> Html:
    score = "" if document["score"] < 0 else f", score {document['score']:.2f}"
    text = document["text"]
    shown = text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
    return funnel.quote(f"{document['source']} ({document['language']}{score})", shown)
