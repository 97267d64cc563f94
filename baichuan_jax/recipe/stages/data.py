"""Stage data: sources to the cleaned corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.select.config import SelectConfig
from baichuan_jax.recipe.spec import Grid, ReportSection, StageResult, StageSpec

if TYPE_CHECKING:
    from baichuan_jax.lab.markup import Html
    from baichuan_jax.lab.page import Canvas
    from baichuan_jax.lab.run_files import RunRecord
    from baichuan_jax.recipe.run import Run
    from baichuan_jax.recipe.run_config import RunConfig


@dataclass(frozen=True, kw_only=True)
class DataResult(StageResult):
    """What is left of every domain, and why the rest went.

    domains: {domain: {documents, bytes, train, validation, language, scores}}. funnel: {domain: what was read, kept,
    removed and pruned}. quality: of each language's model. evaluation_sets: what was cut out for each.
    """

    domains: dict[str, dict[str, Any]]
    funnel: dict[str, dict[str, Any]]
    quality: dict[str, dict[str, Any]]
    evaluation_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    megabytes_per_second: float


def build(run: Run, directory: Path) -> DataResult:
    """Clean every domain."""
    from baichuan_jax.data.flow.config import CorpusConfig
    from baichuan_jax.data.flow.run_phases import build_corpus

    config = run.config
    cfg = CorpusConfig(config.data, config.filters, config.quality, config.dedup, config.select)
    with run.progress.units("data") as tell:
        progress = lambda phase, done, count: tell(f"tasks of phase {phase}", done, count)
        return DataResult(**build_corpus(cfg, config.runner, directory, progress))


def _files(config: RunConfig) -> tuple[Path | str, ...]:
    from baichuan_jax.data.select.records import set_files
    from baichuan_jax.data.sources.units import all_source_files

    sources = (path for files in all_source_files(config.data.sources).values() for path in files)
    sets = (path for pattern in config.select.evaluation_sets.values() for path in set_files(pattern))
    return tuple(dict.fromkeys((*sources, *sets)))


def _summary(result: DataResult) -> str:
    domains = result.domains.values()
    documents, size = (sum(domain[key] for domain in domains) for key in ("documents", "bytes"))
    pruned: Counter[str] = Counter()
    for funnel in result.funnel.values():
        pruned.update({reason: entry["documents"] for reason, entry in funnel["pruned"].items()})
    places = pruned.pop("contaminated", 0)
    said = f"; {pruned.total():,} sentences taken out of documents" if pruned.total() else ""
    said += f"; test questions cut out in {places:,} places" if places else ""
    left_out = [name for name, domain in result.domains.items() if not domain["documents"]]
    said += f"; too little is left of {', '.join(left_out)}, which the dataset is without" if left_out else ""
    said += _without_text(result) + _without_score(result)
    return f"{documents:,} documents, {size / 1e6:.1f} MB in {len(domains) - len(left_out)} domains{said}"


def _without_text(result: DataResult) -> str:
    """Return which domains have records without the text field, and the field that may hold their text."""
    said = ""
    for name, funnel in result.funnel.items():
        fields = funnel.get("fields", {})
        if fields and "no_text_field" in funnel["removed"]:
            count, longest = funnel["removed"]["no_text_field"]["documents"], max(fields, key=fields.__getitem__)
            said += f"; {count:,} records of {name} lack the text field and have most text in {longest!r}"
    return said + " (DataConfig.text_fields)" if said else ""


def _without_score(result: DataResult) -> str:
    """Return which languages have no quality model, if any was to be trained."""
    from baichuan_jax.data.quality.model import unscored_of

    without = unscored_of(result.as_record()) if result.quality else {}
    return "; no quality score: " + ", ".join(f"{name} ({why})" for name, why in without.items()) if without else ""


def _table(result: DataResult) -> Grid:
    from baichuan_jax.lab.numbers import percent

    rows = []
    for domain, funnel in result.funnel.items():
        reasons = sorted(funnel["removed"].items(), key=lambda item: -item[1]["documents"])[:3]
        rows.append(
            (
                domain,
                f"{funnel['read']['documents']:,}",
                f"{funnel['kept']['documents']:,}",
                percent(funnel["kept"]["bytes"], funnel["read"]["bytes"], 0),
                ", ".join(f"{reason} {count['documents']:,}" for reason, count in reasons),
            )
        )
    return Grid(("domain", "read", "kept", "of the text", "most often removed for"), rows)


def _section(record: RunRecord, canvas: Canvas) -> list[Html]:
    from baichuan_jax.lab.corpus import data

    return data(record, canvas)


DATA = StageSpec(
    "data",
    DataResult,
    build,
    _summary,
    help="sources to a cleaned, de-duplicated corpus",
    sections=(DataConfig, FilterConfig, QualityConfig, DedupConfig, SelectConfig),
    table=_table,
    report=ReportSection("Data", _section, 40),
    files=_files,
    unfinished="resume",
    changes=("encodings, rules, repeated sentences and contamination are judged anew",),
)
