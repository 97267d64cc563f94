"""Metrics of a run: JSON lines, which are the record, and the same numbers for boards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from baichuan_jax.core.boards import Board, TensorBoard, flatten
from baichuan_jax.core.files import read_json, write_text

FILE = "metrics.jsonl"
REJECTED = "rejected.json"  # of each time that training went back: the batches that it goes on without, and why
BUFFER = 2**22  # bytes of records that wait for room on a full disk


class Metrics:
    """Appends records to `metrics.jsonl`, and hands them to TensorBoard and another board.

    While the disk takes none, records wait in memory for the next write.

    from_step: records after this step, left by a run that died, are dropped: they will be made again.
    """

    def __init__(self, directory: Path, from_step: int = 0, board: Board | None = None):
        kept = [record for record in read_metrics(directory) if record["step"] <= from_step]
        write_text(directory / FILE, "".join(map(_line, kept)) if from_step else "")
        self._file = (directory / FILE).open("ab", BUFFER)
        self._tensorboard = TensorBoard(directory, from_step)
        self._boards = [self._tensorboard, *([board] if board else [])]

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._tensorboard.close()
        try:
            self._file.close()
        except OSError:
            if kind is None:
                raise

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record; it must have an integer "step". Nested dicts become slash-separated tags of boards."""
        self._file.write(_line(record).encode())
        with suppress(OSError):
            self._file.flush()
        values = {tag: value for tag, value in flatten(record).items() if tag != "step"}
        for board in self._boards:
            board.write(record["step"], values)


def read_metrics(directory: Path) -> list[dict]:
    """Return the records of a run; a last line cut short by a crash is left out."""
    path = directory / FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def read_rejected(directory: Path) -> list[dict[str, Any]]:
    """Return what is on record of each time that training went back: {steps, draws, why, back_to}, in order."""
    path = directory / REJECTED
    return read_json(path) if path.exists() else []


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"
