"""The end of the data step: the files of all shards become one dataset, with its funnel and its data card."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.dataset import finish_domain
from baichuan_jax.data.flow.card import write_card
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.evaluation_sets import SET_COUNTS
from baichuan_jax.data.flow.exact_dedup import REPORT
from baichuan_jax.data.flow.funnels import FUNNEL, funnels_of_all_phases
from baichuan_jax.data.flow.pairs import write_pairs
from baichuan_jax.data.flow.phase_arrays import EVALUATION_SETS, EXACT_DEDUP, WRITE
from baichuan_jax.data.flow.vanished import FEWEST, refuse
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.flow.write import COUNTS
from baichuan_jax.data.funnel import Funnel
from baichuan_jax.data.quality.plot import plot
from baichuan_jax.data.split import SPLITS

CALIBRATION = "quality.png"


def finish(cfg: CorpusConfig, work: Work, directory: Path, vanished: str) -> dict:
    """Make the dataset in `directory`; return what `build_corpus` does. Can be called again after a failure.

    vanished: as `RunnerConfig.vanished`.
    """
    funnels = funnels_of_all_phases(work, cfg.data.sources)
    _leave_out_small(cfg, funnels, vanished)
    counts = [read_json(work.task(WRITE, number) / COUNTS) for number in range(work.shards)]
    result = {
        "domains": {
            domain: _finish_domain(work, directory, domain, counts, funnel) for domain, funnel in funnels.items()
        },
        "funnel": {domain: funnel.as_json() for domain, funnel in funnels.items()},
        "quality": read_json(work.task(EXACT_DEDUP) / REPORT),
        "evaluation_sets": _evaluation_sets(work, counts),
    }
    write_json(directory / FUNNEL, result["funnel"])
    write_json(directory / REPORT, result["quality"])
    if any("calibration" in entry for entry in result["quality"].values()):
        plot(result["quality"], directory / CALIBRATION)
    write_pairs(work, directory)
    write_card(cfg, result, directory)
    return result


def _evaluation_sets(work: Work, counts: list[dict]) -> dict[str, dict]:
    """Return what was read of each evaluation set, and in how many documents how many characters were cut for it.

    counts: of each shard, as `write` left them.
    """
    sets = read_json(work.task(EVALUATION_SETS) / SET_COUNTS)
    for number, entry in enumerate(sets.values()):
        touched = [shard["contaminated"].get(str(number), (0, 0)) for shard in counts]
        entry["documents"], entry["characters"] = (sum(column) for column in zip(*touched))
    return sets


def _finish_domain(work: Work, directory: Path, domain: str, counts: list[dict], funnel: Funnel) -> dict:
    """Move the files of a domain, if anything is left of it, into the dataset; return its counts.

    counts: of each shard, as `write` left them.
    """
    numbers = [number for number, name in enumerate(work.domains) if name == domain]
    counts = [counts[number] for number in numbers]
    files = {
        split: [
            (work.task(WRITE, number) / name, documents, size)
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
    """Leave out each domain without a document to train on and one to validate on.

    Raise UserError instead if `vanished` is "stop", if no domain is left, or if a domain had nothing to read.
    """
    small = {domain: funnel for domain, funnel in funnels.items() if funnel.kept.documents < FEWEST}
    empty = any(not funnel.read.documents for funnel in small.values())
    if empty or len(small) == len(funnels) or vanished == "stop":
        refuse(cfg.data, small)
    for funnel in small.values():
        funnel.remove_kept()
