"""Documents on their way from one pass over the corpus to the next, on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

Keyed = tuple[int, dict[str, str]]  # the hash of a text, and the document as the dataset holds it


class Spool:
    """Appends documents to one file per domain and reads them back in order. Leaving it deletes the files."""

    def __init__(self, directory: Path):
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        shutil.rmtree(self._directory)

    def fill(self, domain: str, documents: Iterator[Keyed]) -> Iterator[Keyed]:
        """Yields the documents as they are written to the domain's file."""
        with (self._directory / domain).open("w", encoding="utf-8") as file:
            for pair in documents:
                file.write(json.dumps(pair) + "\n")
                yield pair

    def read(self, domain: str) -> Iterator[Keyed]:
        """Yields the documents of a domain."""
        with (self._directory / domain).open(encoding="utf-8") as file:
            for line in file:
                key, document = json.loads(line)
                yield key, document
