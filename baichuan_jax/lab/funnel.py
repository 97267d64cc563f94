"""The data funnel as tables and folded samples: read, kept and removed, with reasons."""

from __future__ import annotations

from collections import Counter

from baichuan_jax.lab.difference import difference
from baichuan_jax.lab.markup import Html, details, join, prose, table, tag
from baichuan_jax.lab.numbers import percent, short

BESIDE = "what went, beside what it went for"


def kept(result: dict) -> Html:
    """Return a table of the kept share of each domain. result: of the stage data, here and below."""
    rows = [[name, *_kept(counts), _languages(result["domains"][name])] for name, counts in result["funnel"].items()]
    return table("Kept, of what was read", ["domain", "share", "text", "documents", "invalid UTF-8", "language"], rows)


def share_kept(counts: dict) -> str:
    """Return the share of the bytes of a domain that was kept."""
    return percent(counts["kept"]["bytes"], counts["read"]["bytes"], 1)


def _kept(counts: dict) -> tuple[str, ...]:
    kept, read = counts["kept"], counts["read"]
    return (
        share_kept(counts),
        f"{short(kept['bytes'], 'B')} of {short(read['bytes'], 'B')}",
        f"{kept['documents']:,} of {read['documents']:,}",
        f"{counts['replaced']:,}",
    )


def _languages(domain: dict) -> str:
    """Return the languages of the documents kept, most frequent first: zh 98%, en 2%."""
    shares = {language: number / domain["documents"] for language, number in domain["language"].items()}
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{language} {share:.0%}" for language, share in ordered if share >= 0.005)


def removed(domain: str, counts: dict) -> Html:
    """Return the reasons for removal in a domain, most frequent first, with folded samples."""
    entries = ordered(counts["removed"])
    documents = sum(entry["documents"] for _, entry in entries)
    numbers = [[reason, f"{entry['documents']:,}", short(entry["bytes"], "B")] for reason, entry in entries]
    return details(
        f"{domain}: {documents:,} documents removed",
        table(f"Removed from {domain}", ["reason", "documents", "text"], numbers),
        *(samples(f"{reason}, for example", entry) for reason, entry in entries if entry["samples"]),
    )


def ordered(entries: dict[str, dict]) -> list[tuple[str, dict]]:
    """Return reasons with their counts, most frequent first."""
    return sorted(entries.items(), key=lambda item: -item[1]["documents"])


def samples(summary: str, entry: dict) -> Html:
    """Return folded samples of the texts removed for a reason, each beside its twin if known."""
    known = any("twin" in sample for sample in entry["samples"])
    return details(f"{summary}; {BESIDE}" if known else summary, *map(_sample, entry["samples"]))


def _sample(sample: dict) -> Html:
    return pair(sample, sample["twin"]) if "twin" in sample else quote(sample["source"], sample["text"])


def pair(gone: dict, stays: dict) -> Html:
    """Return two texts, {"source", "text"} each, side by side with their differences marked."""
    sides = (gone, stays)
    texts = difference(*(side["text"] for side in sides))
    marked = ([text if same else tag("mark", text) for text, same in pieces] for pieces in texts)
    return tag("div", *(quote(side["source"], *text) for side, text in zip(sides, marked)), class_="pair")


def quote(source: object, *text: object) -> Html:
    """Return a text below its source."""
    shown = text if join(text).strip() else (tag("cite", "Nothing but white space."),)
    return prose(tag("cite", source), *shown)


def sentences(funnel: dict[str, dict]) -> list[Html]:
    """Return a table of the sentences removed from each domain, if any."""
    total: Counter[str] = Counter()
    for counts in funnel.values():
        total.update({reason: entry["documents"] for reason, entry in counts["pruned"].items()})
    if not total:
        return []
    reasons = [reason for reason, _ in total.most_common()]
    number = lambda entry: f"{entry['documents']:,}" if entry else ""
    rows = [
        [domain, *(number(counts["pruned"].get(reason)) for reason in reasons)] for domain, counts in funnel.items()
    ]
    return [table("Sentences taken out of documents, by reason", ["domain", *reasons], rows)]


def quality(report: dict[str, dict]) -> list[Html]:
    """Return a table of the quality model's scores on held-out documents, if any language has a model."""
    trained = {language: entry for language, entry in report.items() if "auc" in entry}
    if not trained:
        return []
    names = ("auc", "auc_of_length", "auc_equal_length")
    rows = [
        [language, *(f"{entry[name]:.3f}" for name in names), f"{_miscalibration(entry['calibration']):.3f}"]
        for language, entry in trained.items()
    ]
    head = ["language", "AUC", "of length alone", "at equal length", "off by"]
    note = (
        "AUC: how often a good text has a higher score than a bad one. Off by: the mean distance between the score and "
        "the share of good texts that have it."
    )
    return [table("Quality model, on documents held out", head, rows), tag("p", note, class_="note")]


def _miscalibration(bins: list[dict]) -> float:
    """Return the expected calibration error (Naeini et al. 2015)."""
    count = sum(entry["count"] for entry in bins)
    return sum(entry["count"] * abs(entry["mean_score"] - entry["share_good"]) for entry in bins) / count
