"""Where files lie: on this machine, or on any storage that fsspec knows ("s3://bucket/a.jsonl", "gs://", "memory://").

A file is named by its `Path` here and by its URL elsewhere.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import nearest

File = Path | str


def find_paths(pattern: str) -> tuple[File, ...]:
    """Return the files of a path or glob, sorted. Raise UserError if there are none."""
    if "://" in pattern:
        return _find_remote(pattern)
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise UserError(f"{pattern} is a directory: name its files, for example {path / '**/*.jsonl'}")
    found = (path,) if _is_file(path) else tuple(sorted(map(Path, glob.glob(str(path), recursive=True))))
    files = _once(file for file in found if _is_file(file))
    if not files:
        raise UserError(f"no file matches {pattern!r}{_near(path)}")
    return files


def _is_file(path: Path) -> bool:
    """Return whether a path is not a directory: a link to nothing, and what nobody may look at, is damage."""
    try:
        return not path.is_dir() and (path.is_symlink() or path.exists())
    except OSError:  # a directory that may not be entered
        return True


def _once(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files without those that a link to a directory leads to again: of their paths the shortest stays."""
    found: dict[str, Path] = {}
    for file in files:
        real = os.path.realpath(file)
        if real not in found or len(str(file)) < len(str(found[real])):
            found[real] = file
    return tuple(sorted(found.values()))


def open_file(file: File) -> IO[bytes]:
    """Open a file for reading. Raise OSError if it cannot be."""
    if isinstance(file, Path):
        return file.open("rb")
    storage, path = _storage(file)
    return storage.open(path, "rb")


def file_size(file: File) -> int:
    """Return the bytes of a file, 0 if it cannot be looked at."""
    try:
        return file.stat().st_size if isinstance(file, Path) else int(_storage(file)[0].size(file) or 0)
    except OSError:
        return 0


def _find_remote(pattern: str) -> tuple[str, ...]:
    storage, path = _storage(pattern)
    try:
        found = [path] if storage.isfile(path) else sorted(storage.glob(path))
        files = tuple(storage.unstrip_protocol(name) for name in found if storage.isfile(name))
    except OSError as error:
        raise UserError(f"{pattern}: the storage cannot be read ({error})") from None
    if not files:
        raise UserError(f"no file matches {pattern!r}")
    return files


def _storage(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # a package is missing, or nobody knows the protocol
        raise UserError(f"{url}: {error}") from None


def _near(path: Path) -> str:
    """Return a hint at what is there instead of `path`."""
    parent = path.parent
    if glob.has_magic(str(parent)):
        return "; ** matches any number of directories"
    if not parent.is_dir():
        return f": there is no directory {parent}"
    names = sorted(entry.name for entry in parent.iterdir())
    close = nearest(path.name, names)
    return f"; did you mean {parent / close}?" if close else f"; {parent} holds {', '.join(names[:8]) or 'nothing'}"
