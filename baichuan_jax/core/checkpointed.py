"""Stages that go on from checkpoints: which settings may change on the way, and the record of those that did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json

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

    def goes_on(self, directory: Path, changed: Changed, finished: bool) -> bool:
        """Return whether a finished stage has more to do. Raise UserError if a change comes too late."""
        recorded = {name: change for name, change in changed.items() if name in self.recorded}
        if not recorded:
            return False
        done, (before, now) = self.reached(directory), changed.get(self.steps, ("0", "0"))
        if int(now or 0) > int(before or 0) and done:
            return finished
        if finished and not done:
            raise UserError(f"{'; '.join(words(recorded))}: no checkpoint is left in {directory} to go on from")
        if finished or (self.steps in changed and int(now or 0) < done):
            raise UserError(
                f"{'; '.join(words(recorded))}, and {directory} has reached step {done}: it goes on with more "
                f"{self.steps}, or leave it as it is"
            )
        return False


def words(changed: Changed) -> list[str]:
    """Return what has changed in words."""
    return [f"{name} was {before}, is now {now}" for name, (before, now) in changed.items()]


def changes_until(directory: Path, step: int, write: bool = True) -> list[Change]:
    """Return the recorded changes of a stage that goes on from a step: none holds from later than that.

    write: whether to put the record right. A change is recorded for the newest checkpoint, which may be unreadable.
    """
    path = directory / "started.json"
    started = read_json(path) if path.exists() else {}
    found: list[Change] = [{**change, "step": min(change["step"], step)} for change in started.get("changes", [])]
    if write and found != started.get("changes", []):
        write_json(path, {**started, "changes": found})
    return found
