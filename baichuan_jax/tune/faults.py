"""Records that are not trained on, and conversations that were cut: counted by reason, each with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text

TOO_LONG, CUT, TEMPLATE = "too_long", "cut", "template"
NAMED = 3  # places of each reason that a message names


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
    conversation may be several. held_out: conversations, of those kept.
    """

    read: int = 0
    kept: int = 0
    held_out: int = 0
    samples: int = 0
    cut: int = 0
    answers_cut: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def as_record(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {**vars(self), "faults": dict(self.faults.most_common())}

    @property
    def bad(self) -> int:
        """Return how many records are bad: long ones are not."""
        return self.faults.total() - self.faults[TOO_LONG]


def check_tally(source: str, tally: Tally, faults: Iterable[Fault], max_bad: float) -> None:
    """Raise UserError if nothing of a source is left, or more than a share of its records are bad."""
    if tally.kept and tally.bad <= max_bad * tally.read:
        return
    found = [fault for fault in faults if fault.source == source and fault.reason != CUT]
    lines = [f"  {reason}: {count:,}, {_first(found, reason)}" for reason, count in tally.faults.most_common()]
    if not tally.kept:
        long = tally.faults[TOO_LONG]
        advice = (
            "raise the length of a sequence" if 2 * long > tally.read else "InstructionConfig.format and fields say how"
        )
        what = f"of {tally.read:,} records none can be trained on ({advice})"
    else:
        what = (
            f"{tally.bad:,} of {tally.read:,} records are bad, more than InstructionConfig.max_bad = {max_bad:g} of "
            "them; mend them, or raise it to skip them"
        )
    raise UserError("\n".join([f"InstructionConfig.sources[{source!r}]: {what}", *lines]))


def _first(faults: list[Fault], reason: str) -> str:
    """Return the first faults of a reason, for a message."""
    found = [fault.message for fault in faults if fault.reason == reason]
    return "; ".join(found[:NAMED]) + ("; ..." if len(found) > NAMED else "")


def write_faults(faults: Iterable[Fault], path: Path) -> None:
    """Write all faults as JSON lines."""
    lines = (json.dumps(vars(fault), ensure_ascii=False) for fault in faults)
    write_text(path, "".join(f"{line}\n" for line in lines))
