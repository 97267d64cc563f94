"""The data step: sources, normalisation, rules, exact and near-duplicates, split, dataset.

Texts are held on disk between the two passes; what stays in memory is some 1.1 kB a document.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.files import write_json
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dataset import DomainWriter
from baichuan_jax.data.dedup.exact import NearDuplicates, Seen, text_hash
from baichuan_jax.data.funnel import Count, Funnel
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.document import broken_rule, facts
from baichuan_jax.data.sources.source import read_source
from baichuan_jax.data.split import SPLITS, split_documents
from baichuan_jax.data.spool import Keyed, Spool

FUNNEL = "funnel.json"
SPOOL = "spool"  # gone when the step ends
PROGRESS_EVERY = 100  # documents
Progress = Callable[[str, int, int], None]


def build(cfg: DataConfig, directory: Path, progress: Progress | None = None) -> dict:
    """Cleans every domain into a dataset in `directory` (see `dataset.py`) and writes the funnel beside it.

    progress: called now and then as progress(domain, documents read, bytes read). Of equal texts the first stays, of
    near-duplicates the longest, whatever domains they are in. Raises UserError on sources that cannot be read and if
    too little of a domain is left.
    Returns {"domains": {domain: {"documents", "bytes", "train", "validation", "language"}}, "funnel": {domain: ...},
    "documents_per_second", "megabytes_per_second"}; the speeds are of what was read.
    """
    require(bool(cfg.sources), "DataConfig.sources", cfg.sources, "a domain at least, like {'web': 'web/*.jsonl'}")
    start, seen = time.monotonic(), Seen()
    funnels = {domain: Funnel() for domain in cfg.sources}
    with Spool(directory / SPOOL) as spool:
        copies = NearDuplicates(cfg.near_duplicate)
        for domain, funnel in funnels.items():
            for key, document in spool.fill(domain, _kept(cfg, domain, seen, funnel, progress)):
                copies.add(key, document["text"])
        copied = copies.find()
        domains = {
            domain: _write_domain(cfg, directory, domain, _originals(spool.read(domain), copied, funnel), funnel)
            for domain, funnel in funnels.items()
        }
    written = {domain: funnel.as_json() for domain, funnel in funnels.items()}
    write_json(directory / FUNNEL, written)
    seconds = time.monotonic() - start
    return {
        "domains": domains,
        "funnel": written,
        "documents_per_second": sum(funnel.read.documents for funnel in funnels.values()) / seconds,
        "megabytes_per_second": sum(funnel.read.bytes for funnel in funnels.values()) / seconds / 1e6,
    }


def _write_domain(cfg: DataConfig, directory: Path, domain: str, documents: Iterator[Keyed], funnel: Funnel) -> dict:
    """Writes one domain and returns its counts."""
    counts, languages = {split: Count() for split in SPLITS}, Counter()
    with DomainWriter(directory, domain) as writer:
        for split, document in split_documents(documents, cfg.validation_fraction):
            writer.write(split, document)
            counts[split].add(len(document["text"].encode()))
            languages[document["language"]] += 1
        _check_enough(cfg, domain, funnel)
    return {
        "documents": funnel.kept.documents,
        "bytes": funnel.kept.bytes,
        **{split: {"documents": count.documents, "bytes": count.bytes} for split, count in counts.items()},
        "language": dict(languages),
    }


def _originals(documents: Iterator[Keyed], copied: set[int], funnel: Funnel) -> Iterator[Keyed]:
    """Yields the documents that no other near-duplicate stands for."""
    for key, document in documents:
        if key in copied:
            funnel.remove("near_duplicate", document["text"], document["source"])
        else:
            funnel.kept.add(len(document["text"].encode()))
            yield key, document


def _kept(cfg: DataConfig, domain: str, seen: Seen, funnel: Funnel, progress: Progress | None) -> Iterator[Keyed]:
    """Yields what the rules and the search for exact duplicates leave."""
    for document in read_source(cfg.sources[domain], cfg):
        funnel.read.add(len(document.text.encode()))
        funnel.replaced += document.replaced
        if progress is not None and funnel.read.documents % PROGRESS_EVERY == 1:
            progress(domain, funnel.read.documents, funnel.read.bytes)
        text = normalize(document.text)
        known = facts(text)
        reason = broken_rule(known)
        key = text_hash(text)
        if reason is None and not seen.add(key):
            reason = "duplicate"
        if reason is not None:
            funnel.remove(reason, document.text, document.source)
            continue
        yield key, {"text": text, "id": f"{key:016x}", "source": document.source, "language": known.language}


def _check_enough(cfg: DataConfig, domain: str, funnel: Funnel) -> None:
    """Raises UserError unless there is a document to train on and one to validate on."""
    if funnel.kept.documents < 2:
        raise UserError(
            f"DataConfig.sources[{domain!r}] = {cfg.sources[domain]!r}: {funnel.kept.documents} of "
            f"{funnel.read.documents:,} documents left, expected at least 2, to train and to validate on; "
            f"removed: {funnel.reasons() or 'none'} (a .txt file is one document: split it, or write JSON lines)"
        )
