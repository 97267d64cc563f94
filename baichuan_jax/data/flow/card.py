"""The data card: contents, sources and processing of the dataset.

In the spirit of datasheets for datasets (Gebru et al. 2018, arXiv 1803.09010), from the numbers of the data step alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from baichuan_jax.core.files import write_text
from baichuan_jax.data.dataset import NAME, NUMBERS, STRINGS
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.quality.model import unscored_of
from baichuan_jax.data.split import SPLITS

CARD = "DATA_CARD.md"
SAMPLES, CHARACTERS = 2, 150  # of each reason; of each sample
LEFT_OUT = ("sources", "licences", "task_bytes", "memory")  # settings: they stand elsewhere, or shape no text
FOLDERS = re.compile(r"\S*/")
# Markup of Markdown inside a line; an underscore inside a word is not markup.
MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")


def write_card(cfg: CorpusConfig, result: dict, directory: Path) -> None:
    """Write DATA_CARD.md. result: as `build_corpus` returns it. The same config and result make the same bytes."""
    sections = {
        "Domains": _domains(cfg, result["domains"]),
        "What was removed": _funnel(result["funnel"]),
        "Quality model": _quality(cfg, result),
        "Evaluation sets": _evaluation_sets(cfg, result),
        "Settings": _settings(cfg),
        "Samples of what was removed": _samples(result["funnel"]),
        "Loading": _loading(result["domains"]),
        "Limits": _limits(cfg),
    }
    body = "".join(f"\n## {heading}\n\n{content}\n" for heading, content in sections.items())
    write_text(directory / CARD, f"# Data card\n\n{_lead(result)}\n{body}")


def _lead(result: dict) -> str:
    domains = result["domains"].values()
    documents, size = (sum(domain[key] for domain in domains) for key in ("documents", "bytes"))
    return (
        f"{documents:,} documents, {size:,} bytes of UTF-8 text, in {len(domains)} domains, for training language "
        "models. Written by the data step together with the dataset; `baichuan-jax data inspect CONFIG` shows more of "
        "the text."
    )


def _domains(cfg: CorpusConfig, domains: dict) -> str:
    rows = [
        [
            name,
            escape_markdown(cfg.data.sources[name]),
            escape_markdown(cfg.data.licences.get(name, "not stated")),
            *(f"{domain[key]:,}" for key in ("documents", "bytes")),
            *(f"{domain[split]['documents']:,}" for split in SPLITS),
            _languages(domain["language"]),
        ]
        for name, domain in domains.items()
    ]
    head = ("domain", "source", "licence", "documents", "bytes", *SPLITS, "languages")
    said = (
        "Train and validation are numbers of documents. The hash of a text decides which it is in. A language is that "
        "of the script, or code."
    )
    return f"{markdown_table(head, rows)}\n\n{said}"


def _languages(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{language} {number:,}" for language, number in ordered)


def _funnel(funnels: dict) -> str:
    parts = [
        "A document goes for the first reason that holds. Bytes are of UTF-8; those neither removed nor kept went with "
        "sentences and in normalisation."
    ]
    for domain, funnel in funnels.items():
        read, kept = funnel["read"], funnel["kept"]
        entries = [("read", read), *_ordered(funnel["removed"]), ("kept", kept)]
        rows = [
            [escape_markdown(name), *_numbers(entry), f"{entry['bytes'] / max(1, read['bytes']):.2%}"]
            for name, entry in entries
        ]
        parts += [f"### {domain}", markdown_table(("", "documents", "bytes", "share of bytes"), rows)]
        if funnel["pruned"]:
            rows = [[escape_markdown(name), *_numbers(entry)] for name, entry in _ordered(funnel["pruned"])]
            parts += ["Taken out of documents:", markdown_table(("sentences", "number", "bytes"), rows)]
        if funnel["replaced"]:
            parts.append(f"Bytes that are nothing in their encoding: {funnel['replaced']:,} became U+FFFD.")
        if funnel["encodings"]:
            read_as = ", ".join(f"{name} {number:,}" for name, number in sorted(funnel["encodings"].items()))
            parts.append(f"Documents in other encodings than UTF-8: {read_as}.")
    return "\n\n".join(parts)


def _ordered(entries: dict[str, dict]) -> list[tuple[str, dict]]:
    return sorted(entries.items(), key=lambda item: (-item[1]["documents"], item[0]))


def _numbers(entry: dict) -> list[str]:
    return [f"{entry['documents']:,}", f"{entry['bytes']:,}"]


def _quality(cfg: CorpusConfig, result: dict) -> str:
    report = result["quality"]
    trained = {language: entry for language, entry in report.items() if "auc" in entry}
    if not trained:
        return "No document was scored: no language has enough examples of good and of bad text."
    without = "".join(
        f"\n\nText in {escape_markdown(language)} has no score: {why}." for language, why in unscored_of(result).items()
    )
    names = ("auc", "auc_of_length", "auc_equal_length")
    rows = [[language, *(f"{entry[name]:.3f}" for name in names)] for language, entry in trained.items()]
    good, bad = (escape_markdown(", ".join(part)) for part in (cfg.quality.good, cfg.quality.bad))
    table = markdown_table(("language", "AUC", "of length", "at equal length"), rows)
    return (
        f"A linear model over hashed n-grams for each language. Good examples: {good}. Bad examples: {bad}. AUC is of "
        "documents held out; then that of their length alone; then that of pairs of equal length. The calibration is "
        f"drawn in [quality.png](quality.png).\n\n{table}{without}"
    )


def _evaluation_sets(cfg: CorpusConfig, result: dict) -> str:
    sets = result["evaluation_sets"]
    if not sets:
        return "None was named, so the dataset may hold text of any test set."
    names = ("rows", "searched", "too_short", "documents", "characters")
    rows = [[escape_markdown(name), *(f"{counts[key]:,}" for key in names)] for name, counts in sets.items()]
    gone = sum(
        funnel["removed"].get("contaminated", {"documents": 0})["documents"] for funnel in result["funnel"].values()
    )
    short = [
        f"- {escape_markdown(row['source'])}: {escape_markdown(_beginning(row['text']))}"
        for counts in sets.values()
        for row in counts["short"]
    ]
    named = "\n\nRows that were too short, the first few of each set:\n\n" + "\n".join(short) if short else ""
    return (
        "Questions of these, with their choices, were cut out of the documents that hold them, up to the ends of "
        f"sentences around them. {gone:,} documents went whole, because little else was in them. Rows of fewer than "
        f"{cfg.select.ngram} tokens (ideographs, or words) were not looked for.\n\n"
        f"{markdown_table(('set', 'rows', 'looked for', 'too short', 'documents', 'characters cut'), rows)}{named}"
    )


def _settings(cfg: CorpusConfig) -> str:
    rows = [
        [f"{type(section).__name__}.{field.name}", escape_markdown(repr(getattr(section, field.name)))]
        for section in (getattr(cfg, part.name) for part in fields(cfg))
        for field in fields(section)
        if field.name not in LEFT_OUT
    ]
    said = "The thresholds of the rules are per language, in `baichuan_jax/data/rules/limits.py`."
    return f"{said}\n\n{markdown_table(('setting', 'value'), rows)}"


def _samples(funnels: dict) -> str:
    rows = [
        [
            domain,
            escape_markdown(reason),
            escape_markdown(FOLDERS.sub("", sample["source"])),
            escape_markdown(_beginning(sample["text"])),
        ]
        for domain, funnel in funnels.items()
        for entries in (funnel["removed"], funnel["pruned"])
        for reason, entry in _ordered(entries)
        for sample in entry["samples"][:SAMPLES]
    ]
    if not rows:
        return "Nothing was removed."
    table = markdown_table(("domain", "reason", "source", "text"), rows)
    return f"The beginnings of the first few, not reviewed.\n\n{table}"


def _loading(domains: dict) -> str:
    names = ", ".join((*STRINGS, *NUMBERS))
    first = next(name for name, counts in domains.items() if counts["documents"])
    return (
        f"Each domain is a config of the tensorflow-datasets dataset `{NAME}`; TensorFlow is not needed. A "
        f"document has {names}.\n\n```python\nimport tensorflow_datasets as tfds\n\n"
        f'documents = tfds.data_source("{NAME}/{first}", split="train", data_dir="THIS DIRECTORY")\n```'
    )


def _limits(cfg: CorpusConfig) -> str:
    known = "only by its words, `FilterConfig.blocked_words`" if cfg.filters.blocked_words else "by no rule"
    return "\n".join(
        (
            "- Personal data, opinions and errors of the sources are still in the text.",
            f"- Toxic text was removed {known}.",
            "- The licence of a domain is what the config states; that of single documents was not looked at.",
            "- Near-duplicates that share too few of their hashed n-grams are missed, and so are test questions that "
            "were reworded.",
        )
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are escaped already."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escape_markdown(text: str) -> str:
    """Return a text as one line of Markdown, with its markup escaped."""
    escaped = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKUP.sub(r"\\\g<0>", escaped)


def _beginning(text: str) -> str:
    line = _one_line(text)
    return line if len(line) <= CHARACTERS else f"{line[: CHARACTERS - 1]}…"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
