"""Records that are not trained on, and conversations that were cut: counted by reason, each with its place."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text

TOO_LONG, CUT, TEMPLATE = "too_long", "cut", "template"
NAMED = 3  # faults of each reason that messages name


@dataclass(frozen=True)
class Fault:
    """A record that is not trained on, or (CUT) not in full. message: its place, and what is wrong."""

    source: str
    reason: str
    message: str


@dataclass
class Tally:
    """What became of the records of a source: each is kept, or has a fault.

    cut: conversations without their oldest turns, answers_cut: answers that are therefore not in the loss; samples: a
    conversation may be several. held_out: conversations, of those kept. first: messages of the first of each reason.
    """

    read: int = 0
    kept: int = 0
    held_out: int = 0
    samples: int = 0
    cut: int = 0
    answers_cut: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, fault: Fault) -> None:
        """Count a fault, and keep its message if it is among the first."""
        if fault.reason != CUT:
            self.faults[fault.reason] += 1
        if len(self.first[fault.reason]) < NAMED:
            self.first[fault.reason].append(fault.message)

    def as_record(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {**vars(self), "faults": dict(self.faults.most_common()), "first": dict(self.first)}

    @property
    def bad(self) -> int:
        """Return how many records are bad: long ones are not."""
        return self.faults.total() - self.faults[TOO_LONG]

    def check(self, source: str, max_bad: float) -> None:
        """Raise UserError if nothing is left, or more than a share of the records are bad."""
        if self.kept and self.bad <= max_bad * self.read:
            return
        if self.kept:
            what = (
                f"{self.bad:,} of {self.read:,} records are bad, more than InstructionConfig.max_bad = {max_bad:g} of "
                "them; mend them, or raise it to skip them"
            )
        else:
            long = 2 * self.faults[TOO_LONG] > self.read
            advice = "raise TuneConfig.length" if long else "InstructionConfig.format and fields say how to read"
            what = f"of {self.read:,} records none can be trained on ({advice})"
        lines = [f"  {line}" for line in fault_lines(self.as_record())]
        raise UserError("\n".join([f"InstructionConfig.sources[{source!r}]: {what}", *lines]))


def fault_lines(tally: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each reason, with the first places. tally: as a record."""
    for reason, count in tally["faults"].items():
        yield f"{reason}: {count:,}; {'; '.join(tally['first'][reason])}{'; ...' if count > NAMED else ''}"


def tally_lines(tallies: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what a user should know of the records of each source. tallies: as records."""
    for source, tally in tallies.items():
        cut = f", {tally['cut']:,} shortened (oldest turns left out)" if tally["cut"] else ""
        yield f"{source}: {tally['kept']:,} of {tally['read']:,} conversations{cut}; {tally['held_out']:,} are held out"
        yield from (f"  {line}" for line in fault_lines(tally))


def write_faults(faults: Iterable[Fault], path: Path) -> None:
    """Write all faults as JSON lines."""
    lines = (json.dumps(vars(fault), ensure_ascii=False) for fault in faults)
    write_text(path, "".join(f"{line}\n" for line in lines))
