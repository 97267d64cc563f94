"""What a model has answered, on disk: nothing that was finished is asked again, whatever ended the process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.core.errors import UserError


def request_key(kind: str, ids: Iterable[int], *settings: Any) -> str:
    """Return a name of a request: a digest of its kind, its ids and its settings."""
    text = json.dumps([kind, *settings], sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(np.array(list(ids), np.int32).tobytes() + text).hexdigest()[:32]


class Answers:
    """An append-only file of JSON lines [key, answer]; it belongs to one model.

    A line that is cut short, as a kill leaves one, is dropped with all after it.
    """

    def __init__(self, path: Path):
        """Read what is there. Raise UserError if the file cannot be written."""
        self._known: dict[str, Any] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab+")
        except OSError as error:
            raise UserError(f"cannot write {path} ({error.strerror})") from error
        self._file.seek(0)
        whole = 0
        for line in self._file:
            try:
                key, answer = json.loads(line)
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self._known[key] = answer
            whole += len(line)
        self._file.truncate(whole)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def add(self, answers: dict[str, Any]) -> None:
        """Remembers answers, which are JSON values; they are on their way to the disk when this returns."""
        self._known.update(answers)
        lines = (json.dumps([key, answer], ensure_ascii=False) for key, answer in answers.items())
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
