"""Metrics of a run: JSON lines, which are the record, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from baichuan_jax.core.files import write_text

FILE = "metrics.jsonl"
BUFFER = 2**22  # bytes of records that wait for room on a full disk


class Metrics:
    """Appends records to `metrics.jsonl` and to TensorBoard event files in the same directory.

    While the disk takes none, records wait in memory for the next write; TensorBoard goes without them.

    from_step: records after this step, left by a run that died, are dropped: they will be made again.
    """

    def __init__(self, directory: Path, from_step: int = 0):
        # Not its SummaryWriter: a thread writes for that, and when it finds the disk full, the program waits for ever.
        from tensorboardX.event_file_writer import EventsWriter  # brings numpy in, and most commands write no metrics
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        kept = [record for record in read_metrics(directory) if record["step"] <= from_step]
        write_text(directory / FILE, "".join(map(_line, kept)) if from_step else "")
        self._file = (directory / FILE).open("ab", BUFFER)
        (directory / "tensorboard").mkdir(exist_ok=True)
        self._board = EventsWriter(str(directory / "tensorboard" / "events"))
        self._board.write_event(Event(step=from_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError):
            self._board.close()
        try:
            self._file.close()
        except OSError:
            if kind is None:
                raise

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record; it must have an integer "step". Nested dicts become slash-separated tags."""
        self._file.write(_line(record).encode())
        with suppress(OSError):
            self._file.flush()
        with suppress(OSError):
            self._board.flush()  # first of what found no room before, so that no event is written in part
            self._write_events(record)
            self._board.flush()

    def _write_events(self, record: Mapping[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for tag, value in _flatten(record).items():
            if tag != "step":
                self._board.write_event(Event(wall_time=time.time(), step=record["step"], summary=scalar(tag, value)))


def read_metrics(directory: Path) -> list[dict]:
    """Return the records of a run; a last line cut short by a crash is left out."""
    path = directory / FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"


def _flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    flat = {}
    for key, value in record.items():
        flat.update(_flatten(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {prefix + key: value})
    return flat
