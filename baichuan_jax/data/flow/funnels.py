"""The funnel between the phases: `read` and `write` leave one for each shard, which are added up here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.flow.phase_arrays import READ, REMOVED_COPIES, WRITE
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.funnel import Funnel, merged

FUNNEL = "funnel.json"


def save_funnel(directory: Path, funnel: Funnel) -> None:
    """Save the funnel of a shard in the directory of a task."""
    write_json(directory / FUNNEL, funnel.as_json())


def funnels_after_reading(work: Work, domains: Iterable[str]) -> dict[str, Funnel]:
    """Return {domain: funnel} as far as the phase `read`, as if all that was not removed were kept."""
    funnels = {domain: merged(_load(work, READ, number) for number in _shards(work, domain)) for domain in domains}
    for funnel in funnels.values():
        funnel.keep_rest()
    return funnels


def funnels_of_all_phases(work: Work, domains: Iterable[str]) -> dict[str, Funnel]:
    """Return {domain: funnel}; what equals a document that the rules removed earlier counts as a duplicate."""
    return {domain: merged(_of_all_phases(work, domain)) for domain in domains}


def _of_all_phases(work: Work, domain: str) -> Iterable[Funnel]:
    copies = work.load(REMOVED_COPIES)
    for number in _shards(work, domain):
        funnel = _load(work, READ, number)
        mine = copies[copies[:, 0] == number]
        for index, reason in enumerate(list(funnel.removed)):
            sizes = mine[mine[:, 1] == index, 2]
            funnel.move(reason, "duplicate", len(sizes), int(sizes.sum()))
        yield funnel
        yield _load(work, WRITE, number)


def _load(work: Work, phase: str, number: int) -> Funnel:
    return Funnel.from_json(read_json(work.task(phase, number) / FUNNEL))


def _shards(work: Work, domain: str) -> list[int]:
    """Return the numbers of the shards of a domain."""
    return [number for number, name in enumerate(work.domains) if name == domain]
