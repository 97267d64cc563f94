"""Answers of a model on disk, so no finished request is repeated after an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.core.errors import UserError


def request_key(kind: str, ids: Iterable[int], *settings: Any) -> str:
    """Return a digest of a request: its kind, ids and settings."""
    text = json.dumps([kind, *settings], sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(np.array(list(ids), np.int32).tobytes() + text).hexdigest()[:32]


class Answers:
    """An append-only file of JSON lines [key, answer]; it belongs to one model.

    A truncated line, as left by a kill, is dropped with everything after it.
    """

    def __init__(self, path: Path):
        """Read the existing answers. Raise UserError if the file is not writable."""
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
        """Append answers, which are JSON values, and flush the file."""
        self._known.update(answers)
        lines = (json.dumps([key, answer], ensure_ascii=False) for key, answer in answers.items())
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
