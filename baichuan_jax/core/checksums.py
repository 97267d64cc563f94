"""Checksums of files, and the manifest of a directory: every file is what was written, or the one that is not is named.

The hash is xxh3 of 128 bits: against faults, not against forgery. It is faster than files are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

MANIFEST = "manifest.xxh128"
SEAL = "# whole: "
THREADS = 8  # hash while others wait for the disk; the hash lets go of the interpreter


class Damaged(Exception):
    """A file is not the one that was written. The message names it."""


def file_hash(path: Path) -> str:
    """Return the hexadecimal xxh3-128 of a file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()  # type: ignore[arg-type]


def write_manifest(directory: Path, title: str) -> None:
    """Write the manifest of all files in a directory, last and down to the disk; `xxh128sum -c` reads it too."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    hashes = _in_threads(files)
    lines = [f"# {title}", *(f"{found}  {path.relative_to(directory)}" for path, found in zip(files, hashes))]
    text = "".join(f"{line}\n" for line in lines).encode()
    with (directory / MANIFEST).open("wb") as file:
        file.write(text + _seal(text))
        file.flush()
        os.fsync(file.fileno())
    sync_directory(directory)


def verify(directory: Path, under: str = "", part: int = 0, parts: int = 1) -> bool:
    """Return whether a directory has a manifest, to which its files are equal. Raise Damaged if one is not.

    under: verify only the files of this folder. part, parts: verify only this one of so many parts.
    """
    expected = read_manifest(directory)
    if expected is None:
        return False
    names = [name for name in expected if name.startswith(f"{under}/" if under else "")][part::parts]
    try:
        for name, found in zip(names, _in_threads(directory / name for name in names)):
            if found != expected[name]:
                raise Damaged(f"its file {name} does not match {MANIFEST}")
    except OSError as error:
        raise Damaged(f"its file {Path(error.filename).relative_to(directory)}: {error.strerror}") from error
    return True


def read_manifest(directory: Path) -> dict[str, str] | None:
    """Return {file: hash}, None if there is no manifest. Raise Damaged if it is not whole."""
    path = directory / MANIFEST
    if not path.exists():
        return None
    content = path.read_bytes()
    text = content[: content.rfind(SEAL.encode())]
    if not text or content != text + _seal(text):
        raise Damaged(f"its file {MANIFEST} is not whole")
    entries = (line.split("  ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: found for found, name in entries}


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(text: bytes) -> bytes:
    return f"{SEAL}{xxhash.xxh3_128_hexdigest(text)}\n".encode()


def _in_threads(files: Iterable[Path]) -> list[str]:
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(file_hash, files))
