"""The texts behind the numbers of a finished data step: what went, and what stayed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.data.funnel import PARTS
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.stages.data import DataResult

KEPT, NEAR = "kept", "near_duplicate"  # reasons that have their own texts: the dataset, and pairs
LOOKED_AT = 50_000  # documents of a split, of which those with the smallest hashes are shown


@dataclass(frozen=True)
class Inspection:
    """A look at a data step. result: its funnel has the samples that were asked for. kept, pairs: by domain."""

    result: DataResult
    kept: dict[str, list[dict[str, Any]]]
    pairs: dict[str, list[dict[str, Any]]]


def inspect_data(run: Run, number: int, domain: str | None = None, reason: str | None = None) -> Inspection:
    """Return texts of each kind, at most so many, of a domain or all, that went for a reason or any.

    Raise UserError if the step is not finished, or has no such domain or reason.
    """
    stage = run.pipeline.alone("data")  # whatever has become of its sources
    stage.complete()  # or it was made from another config
    result = DataResult.read(stage.result())
    domains = _domains(result, domain)
    _check_reason(result, domains, reason)
    wanted = {name for name in domains if reason in (None, KEPT) and result.domains[name]["documents"]}
    kept = {name: _kept(stage.directory, name, number) if name in wanted else [] for name in domains}
    pairs = _pairs(stage.directory, domains, number if reason in (None, NEAR) else 0)
    funnel = {name: _cut(result.funnel[name], reason, number) for name in domains}
    return Inspection(replace(result, funnel=funnel), kept, pairs)


def _domains(result: DataResult, domain: str | None) -> list[str]:
    known = list(result.funnel)
    if domain is None:
        return known
    if domain not in known:
        raise UserError(f"--domain {domain}: the data has {', '.join(known)}{did_you_mean(domain, known)}")
    return [domain]


def _check_reason(result: DataResult, domains: list[str], reason: str | None) -> None:
    found = {why for name in domains for part in PARTS for why in result.funnel[name][part]}
    known = sorted(found | {KEPT})
    if reason is not None and reason not in known:
        where = f" in {domains[0]}" if len(domains) == 1 else ""
        raise UserError(f"--reason {reason}: there is{where} {', '.join(known)}{did_you_mean(reason, known)}")


def _cut(counts: dict, reason: str | None, number: int) -> dict:
    """Return the funnel of a domain with the samples that are to be shown."""
    parts = {
        part: {
            why: {**entry, "samples": entry["samples"][:number] if reason in (None, why) else []}
            for why, entry in counts[part].items()
        }
        for part in PARTS
    }
    return {**counts, **parts}


def _kept(directory: Path, domain: str, number: int) -> list[dict]:
    """Return documents of a domain by the hash of their text, held out ones first: theirs are the smallest."""
    from baichuan_jax.data.dataset import read_documents  # brings numpy in, and --help knows this module
    from baichuan_jax.data.split import SPLITS

    found: list[dict] = []
    for split in reversed(SPLITS):
        documents = islice(read_documents(directory, domain, split), LOOKED_AT)
        found += nsmallest(number - len(found), documents, key=lambda document: document["id"])
    return found


def _pairs(directory: Path, domains: list[str], number: int) -> dict[str, list[dict]]:
    """Return near-duplicates of each domain."""
    from baichuan_jax.data.flow.pairs import PAIRS  # brings all phases in

    pairs: dict[str, list[dict]] = {domain: [] for domain in domains}
    with (directory / PAIRS).open(encoding="utf-8") as lines:
        for pair in map(json.loads, lines):
            if pair["domain"] in pairs and len(pairs[pair["domain"]]) < number:
                pairs[pair["domain"]].append(pair)
    return pairs
