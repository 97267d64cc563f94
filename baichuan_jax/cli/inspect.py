"""The verb `data inspect`: the texts behind the numbers of a finished data step, on the terminal or as a page."""

from __future__ import annotations

import argparse
import json
from heapq import nsmallest
from itertools import islice
from pathlib import Path

from rich.console import Console

from baichuan_jax.cli.inspect_view import show_domain
from baichuan_jax.config.load import Loaded
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.data.dataset import read_documents
from baichuan_jax.data.funnel import PARTS
from baichuan_jax.data.split import SPLITS
from baichuan_jax.recipe.pipeline import Pipeline

KEPT, NEAR = "kept", "near_duplicate"  # reasons that have their own texts: the dataset, and pairs
TERMINAL, PAGE = 3, 10  # texts of each kind, unless --samples says otherwise
LOOKED_AT = 50_000  # documents of a split, of which those with the smallest hashes are shown


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    verb.add_argument("--domain", metavar="DOMAIN", help="show only this domain")
    verb.add_argument("--reason", metavar="REASON", help=f"show only texts that went for it, or {KEPT!r} ones")
    verb.add_argument("--samples", type=int, metavar="N", help=f"texts of each kind ({TERMINAL}; on a page {PAGE})")
    verb.add_argument("--html", type=Path, metavar="PATH", help="write a page instead")


def inspect(loaded: Loaded, args: argparse.Namespace) -> None:
    """Show the funnel of a finished data step, and texts that went or stayed.

    Raise UserError if the step is not finished, or has no such domain or reason.
    """
    pipeline = Pipeline(loaded.config)
    stage = pipeline.stage("data")
    stage.complete()  # or it was made from another config
    result = stage.result()
    number = _number(args)
    domains, reason = _domains(result, args.domain), args.reason
    _check_reason(result, domains, reason)
    directory = stage.directory
    wanted = {name for name in domains if reason in (None, KEPT) and result["domains"][name]["documents"]}
    kept = {name: _kept(directory, name, number) if name in wanted else [] for name in domains}
    pairs = _pairs(directory, domains, number if reason in (None, NEAR) else 0)
    result = {**result, "funnel": {name: _cut(result["funnel"][name], reason, number) for name in domains}}
    if args.html:
        from baichuan_jax.lab.inspect import write_page  # brings matplotlib in

        write_page(pipeline.workdir.resolve().name, result, kept, pairs, args.html)
        print(args.html)
        return
    console = Console(highlight=False)
    for name in domains:
        show_domain(console, name, result, kept[name], pairs[name])


def _number(args: argparse.Namespace) -> int:
    if args.samples is None:
        return PAGE if args.html else TERMINAL
    require(args.samples > 0, "--samples", args.samples, "a number of texts, 1 at least")
    return args.samples


def _domains(result: dict, domain: str | None) -> list[str]:
    known = list(result["funnel"])
    if domain is None:
        return known
    if domain not in known:
        raise UserError(f"--domain {domain}: the data has {', '.join(known)}{did_you_mean(domain, known)}")
    return [domain]


def _check_reason(result: dict, domains: list[str], reason: str | None) -> None:
    found = {why for name in domains for part in PARTS for why in result["funnel"][name][part]}
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
