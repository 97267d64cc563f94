"""Stages that go on from checkpoints: which settings may change on the way, and the record of those that did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from baichuan_jax.core.errors import UserError

Changed = Mapping[str, tuple[str | None, str | None]]  # name of a setting: its value before, its value now


class Change(TypedDict):
    """A setting that has another value after a step, both as gin text."""

    step: int
    setting: str
    before: str
    after: str


@dataclass(frozen=True)
class Checkpointed:
    """How a stage goes on from its checkpoints.

    reached: the step of the newest checkpoint in a directory, 0 without one. steps: the setting that says how far the
    stage goes. recorded: settings that may change at a checkpoint; they shape the result, and every change is recorded
    with its step. free: settings that may change at any time; they shape no result. advice: what else can be done.
    """

    reached: Callable[[Path], int]
    steps: str
    recorded: tuple[str, ...]
    free: tuple[str, ...]
    advice: str = ""

    def goes_on(self, directory: Path, changed: Changed, finished: bool, config: str) -> bool:
        """Return whether a finished stage has more to do. Raise UserError if a change comes too late.

        config: the file that has the settings of what is there.
        """
        recorded = {name: change for name, change in changed.items() if name in self.recorded}
        if not recorded:
            return False
        done, (before, now) = self.reached(directory), changed.get(self.steps, ("0", "0"))
        if int(now or 0) > int(before or 0) and done:
            return finished
        if finished and not done:
            raise UserError(
                f"{'; '.join(words(recorded))}: no checkpoint in {directory} to go on from; choose another directory"
            )
        if finished or (self.steps in changed and int(now or 0) < done):
            raise UserError(
                f"{'; '.join(words(recorded))}, and {directory} has reached step {done}: it goes on with more "
                f"{self.steps}; the settings of what is there are in {config}"
            )
        return False


def words(changed: Changed) -> list[str]:
    """Return what has changed in words."""
    return [f"{name} was {before}, is now {now}" for name, (before, now) in changed.items()]


def merged(changes: Iterable[Change]) -> list[Change]:
    """Return changes with those of one setting after one step as one: no step was taken between them."""
    found: dict[tuple[int, str], Change] = {}
    for change in changes:
        place = change["step"], change["setting"]
        first = found.pop(place, change)["before"]
        if first != change["after"]:
            found[place] = {**change, "before": first}
    return list(found.values())
