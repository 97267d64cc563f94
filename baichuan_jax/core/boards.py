"""Boards that show the metrics of a run while it goes on: TensorBoard, and Weights & Biases on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra
from baichuan_jax.core.files import digest, write_text

ID = "id.txt"


class Board(Protocol):
    """What takes the numbers of a step, by slash-separated tags."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Writes event files to `tensorboard/`; goes without what a full disk does not take."""

    def __init__(self, directory: Path, from_step: int):
        # Not its SummaryWriter: a thread writes for that, and when it finds the disk full, the program waits for ever.
        from tensorboardX.event_file_writer import EventsWriter  # brings numpy in, and most commands write no metrics
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        (directory / "tensorboard").mkdir(exist_ok=True)
        self._events = EventsWriter(
            str(directory / "tensorboard" / "events"), f".{from_step}"
        )  # apart from one a second ago
        self._events.write_event(Event(step=from_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write an event for each value."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        with suppress(OSError):
            self._events.flush()  # first of what found no room before, so that no event is written in part
            for tag, value in values.items():
                self._events.write_event(Event(wall_time=time.time(), step=step, summary=scalar(tag, value)))
            self._events.flush()

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._events.close()


class WeightsAndBiases:
    """Writes to a run of Weights & Biases, with the config, and its files in `wandb/`.

    A training that goes on joins the run it began with. A value that is made again is there twice, as steps are values
    too: Weights & Biases itself has no way back.
    """

    def __init__(self, project: str, mode: str, directory: Path, name: str, config: Mapping[str, Any]):
        wandb = import_module("wandb")
        file = directory / "wandb" / ID
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            write_text(file, digest(f"{directory.resolve()} {time.time_ns()}")[:16])
        settings = wandb.Settings(console="off", silent=True)  # standard output is ours
        options = {"project": project, "mode": mode, "dir": str(directory), "name": name, "config": dict(config)}
        try:
            self._run = wandb.init(**options, id=file.read_text(), resume="allow", settings=settings)
        except wandb.Error as error:
            raise UserError(
                f"WandbConfig: {error}; log in by `wandb login`, or set WandbConfig.mode to 'offline'"
            ) from error
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        self._run.log({"step": step, **values})

    def results(self, values: Mapping[str, Any]) -> None:
        """Note what training ended with."""
        self._run.summary.update({f"final/{tag}": value for tag, value in values.items()})

    def close(self) -> None:
        """Write what is left."""
        self._run.finish()


def check_wandb(project: str) -> None:
    """Raise UserError if the package is missing; a folder of its name is none."""
    found = find_spec("wandb")
    if found is None or found.origin is None:
        raise UserError(
            f"WandbConfig.project = {project!r} needs the package wandb: {install_extra('wandb')}; or set it to ''"
        )


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested record with slash-separated tags."""
    flat = {}
    for key, value in record.items():
        flat.update(flatten(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {prefix + key: value})
    return flat
