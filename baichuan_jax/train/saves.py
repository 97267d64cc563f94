"""When training saves: every so many steps, on request, and again after a checkpoint that could not be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from baichuan_jax.train.agreement import asked_of_any
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import TrainState
from baichuan_jax.train.stop import Request


class Saves:
    """The saves of one training.

    note: called with each line about them. about: returns what the checkpoint of a step says of the run.
    """

    def __init__(
        self,
        cfg: TrainConfig,
        writer: CheckpointWriter,
        request: Request,
        note: Callable[[str], None],
        about: Callable[[int], dict[str, Any]],
    ):
        self._cfg, self._writer, self._request, self._note, self._about = cfg, writer, request, note, about
        self._asked = False

    def due(self, step: int) -> bool:
        """Return whether there is to be a checkpoint of a step, in all processes alike. To be called once a step.

        Several processes look for what one of them asks for only where they wait for the devices anyway.
        """
        self._tell()
        if jax.process_count() == 1 or step % self._cfg.log_every == 0:
            self._asked, again = asked_of_any(self._request.take(), self._writer.try_again)
            if self._asked or again:
                return True
        return step % self._cfg.checkpoint_every == 0

    def save(self, state: TrainState, loader: dict[str, Any]) -> None:
        """Begin to write a checkpoint."""
        self._writer.save(state, loader, self._about(int(state.step)), announce=self._asked)
        self._asked = False
        self._tell()

    def secure(self, state: TrainState, loader: dict[str, Any]) -> None:
        """Wait until the last checkpoint is written. Raise UserError if it cannot be."""
        self._writer.secure(state, loader, self._about(int(state.step)))
        self._tell()

    def _tell(self) -> None:
        for line in self._writer.news():
            self._note(line)
