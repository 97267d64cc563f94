"""The end of the data step: the parts of all shards become one dataset, with its funnel and its data card."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.dataset import finish_domain
from baichuan_jax.data.flow import sets, unite, write
from baichuan_jax.data.flow.card import write_card
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.pairs import write_pairs
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.read import read_funnel
from baichuan_jax.data.flow.vanished import FEWEST, refuse
from baichuan_jax.data.funnel import Funnel, merged
from baichuan_jax.data.quality.plot import plot
from baichuan_jax.data.split import SPLITS

FUNNEL, QUALITY, CALIBRATION = "funnel.json", "quality.json", "quality.png"


def finish(cfg: CorpusConfig, work: Work, directory: Path, vanished: str) -> dict:
    """Make the dataset in `directory` and returns what `build.build` does. Can be called again after a failure.

    vanished: as `RunnerConfig.vanished`.
    """
    funnels = {domain: _funnel(work, domain) for domain in cfg.data.sources}
    _leave_out_small(cfg, funnels, vanished)
    domains = {domain: _finish_domain(work, directory, domain, funnels[domain]) for domain in funnels}
    result = {
        "domains": domains,
        "funnel": {domain: funnel.as_json() for domain, funnel in funnels.items()},
        "quality": read_json(work.task(unite.NAME) / unite.REPORT),
        "evaluation_sets": _evaluation_sets(work),
    }
    write_json(directory / FUNNEL, result["funnel"])
    write_json(directory / QUALITY, result["quality"])
    if any("calibration" in entry for entry in result["quality"].values()):
        plot(result["quality"], directory / CALIBRATION)
    write_pairs(work, directory)
    write_card(cfg, result, directory)
    return result


def _evaluation_sets(work: Work) -> dict[str, dict]:
    """Return what was read of each evaluation set, and how many documents it touched and characters it cut."""
    counts = read_json(work.task(sets.NAME) / sets.COUNTS)
    touched = [read_json(work.task(write.NAME, number) / write.COUNTS)["contaminated"] for number in range(work.shards)]
    for number, count in enumerate(counts.values()):
        here = [part.get(str(number), (0, 0)) for part in touched]
        count["documents"], count["characters"] = (sum(column) for column in zip(*here))
    return counts


def _numbers(work: Work, domain: str) -> list[int]:
    """Return the shards of a domain."""
    return [number for number, name in enumerate(work.domains) if name == domain]


def _funnel(work: Work, domain: str) -> Funnel:
    """Return the funnel of all phases."""
    parts, copies = [], work.load(unite.NAME, unite.COPIES)
    for number in _numbers(work, domain):
        parts.append(read_funnel(work, number))
        mine = copies[copies[:, 0] == number]
        for index, reason in enumerate(list(parts[-1].removed)):
            sizes = mine[mine[:, 1] == index, 2]
            parts[-1].rename(reason, "duplicate", len(sizes), int(sizes.sum()))
        parts.append(Funnel.from_json(read_json(work.task(write.NAME, number) / write.COUNTS)["funnel"]))
    return merged(parts)


def _finish_domain(work: Work, directory: Path, domain: str, funnel: Funnel) -> dict:
    """Move the files of a domain, if anything is left of it, into the dataset and returns its counts."""
    numbers = _numbers(work, domain)
    counts = [read_json(work.task(write.NAME, number) / write.COUNTS) for number in numbers]
    files = {
        split: [
            (work.task(write.NAME, number) / name, documents, size)
            for number, count in zip(numbers, counts)
            for name, documents, size in count["files"][split]
        ]
        for split in SPLITS
    }
    splits = {split: [sum(column) for column in zip(*(count["splits"][split] for count in counts))] for split in SPLITS}
    languages = sum((Counter(count["languages"]) for count in counts), Counter())
    if funnel.kept.documents:
        finish_domain(directory, domain, files)
    else:
        splits, languages = dict.fromkeys(SPLITS, (0, 0)), Counter()
    return {
        "documents": funnel.kept.documents,
        "bytes": funnel.kept.bytes,
        **{split: {"documents": documents, "bytes": size} for split, (documents, size) in splits.items()},
        "language": dict(sorted(languages.items())),
        "scores": [sum(column) for column in zip(*(count["scores"] for count in counts))],
    }


def _leave_out_small(cfg: CorpusConfig, funnels: dict[str, Funnel], vanished: str) -> None:
    """Take a domain out that has not a document to train on and one to validate on.

    Raise UserError if that is to stop, if no domain is left, or if there was nothing to read in one.
    """
    small = {domain: funnel for domain, funnel in funnels.items() if funnel.kept.documents < FEWEST}
    empty = any(not funnel.read.documents for funnel in small.values())
    if empty or len(small) == len(funnels) or vanished == "stop":
        refuse(cfg.data, small)
    for funnel in small.values():
        funnel.remove_lone()
