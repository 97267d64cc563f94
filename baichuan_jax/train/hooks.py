"""What a training tells and asks of whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from baichuan_jax.core.boards import Board
from baichuan_jax.train.phases import Phases

Record = dict[str, Any]


@dataclass(frozen=True)
class Hooks:
    """What is called while a training goes on.

    report: with each metrics record. begun: before the first batch is read, with the step that training goes on from
    and what its user should know of that. took: after the first step with the seconds of each part of the way to it.
    note: with a line about a checkpoint that could not be written, or that was asked for. about: returns what every
    checkpoint says of the run. phases: measures what is being done. board: gets the metrics as well.
    """

    report: Callable[[Record], None] = lambda record: None
    begun: Callable[[int, list[str]], None] = lambda step, told: None
    took: Callable[[dict[str, float]], None] = lambda seconds: None
    note: Callable[[str], None] = lambda line: None
    about: Callable[[], dict[str, Any]] = dict
    phases: Phases = field(default_factory=Phases)
    board: Board | None = None
