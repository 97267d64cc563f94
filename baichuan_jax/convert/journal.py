"""Journal of finished pieces, one per line, to continue after a kill."""

from __future__ import annotations

from pathlib import Path


class Journal:
    """The names of finished pieces. A context manager. A truncated line is ignored."""

    def __init__(self, path: Path):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        self._done = set(whole.splitlines())
        path.write_text(whole, encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._done

    def add(self, name: str) -> None:
        """Record a piece that is on disk."""
        self._done.add(name)
        self._file.write(f"{name}\n")
        self._file.flush()
