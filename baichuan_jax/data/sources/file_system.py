"""Files on this machine, or on any storage that fsspec knows ("s3://bucket/a.jsonl", "gs://", "memory://").

A local file is given by its `Path`, a remote one by its URL.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from baichuan_jax.core.disk import PASSING
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import nearest

File = Path | str


def find_paths(pattern: str) -> tuple[File, ...]:
    """Return the files of a path or glob, sorted. Raise UserError if there are none."""
    if "://" in pattern:
        return _find_remote(pattern)
    try:
        path = Path(pattern).expanduser()
    except RuntimeError as error:
        raise UserError(f"{pattern}: there is no such home directory ({error})") from None
    try:
        return _find_local(pattern, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise UserError(f"{pattern} cannot be read ({error.strerror}); name a path that can be") from error


def _find_local(pattern: str, path: Path) -> tuple[File, ...]:
    if path.is_dir():
        raise UserError(f"{pattern} is a directory: name its files, for example {path / '**/*.jsonl'}")
    found = (path,) if _is_file(path) else tuple(sorted(map(Path, glob.glob(str(path), recursive=True))))
    files = _once(file for file in found if _is_file(file))
    if not files:
        raise UserError(f"no file matches {pattern!r}{_near(path)}")
    return files


def _is_file(path: Path) -> bool:
    """Return whether a path is not a directory; broken links and unreadable files count as (damaged) files."""
    try:
        return not path.is_dir() and (path.is_symlink() or path.exists())
    except PermissionError:  # to enter the directory
        return True


def _once(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return the files without those that links to directories repeat; the shortest path of a file stays."""
    found: dict[str, Path] = {}
    for file in files:
        real = os.path.realpath(file)
        if real not in found or len(str(file)) < len(str(found[real])):
            found[real] = file
    return tuple(sorted(found.values()))


def open_file(file: File) -> IO[bytes]:
    """Open a file for reading. Raise OSError if it cannot be opened."""
    if isinstance(file, Path):
        return file.open("rb")
    storage, path = _storage(file)
    return storage.open(path, "rb")


def file_size(file: File) -> int:
    """Return the size of a file in bytes, 0 if it is not accessible."""
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
    except (ImportError, ValueError) as error:  # a package is missing, or the protocol is unknown
        raise UserError(f"{url}: {error}") from None


def _near(path: Path) -> str:
    """Return a hint at similar existing paths."""
    parent = path.parent
    if glob.has_magic(str(parent)):
        return "; ** matches any number of directories"
    if not parent.is_dir():
        return f": there is no directory {parent}"
    names = sorted(entry.name for entry in parent.iterdir())
    close = nearest(path.name, names)
    return f"; did you mean {parent / close}?" if close else f"; {parent} holds {', '.join(names[:8]) or 'nothing'}"
