"""Lines of plain and compressed files, noticing files that were cut short."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from baichuan_jax.core.errors import UserError

CHUNK = 1 << 18  # compressed bytes read at once


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (number from 1, line) of a file, decompressing .gz and .zst. Raises UserError if it is cut short."""
    number = 0
    try:
        with path.open("rb") as raw:
            for number, line in enumerate(_decompressed(raw, path.suffix), 1):
                yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise UserError(
            f"{path}: truncated or corrupt: {number:,} documents could be read ({error}); fetch the file again"
        ) from None


def _decompressed(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if suffix == ".zst":
        return io.BufferedReader(ZstdStream(raw), CHUNK)
    return raw


class ZstdStream(io.RawIOBase):
    """Decompresses zstd frames. Unlike the reader of zstandard it raises EOFError where the last frame is cut short."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False  # whether the current frame has been given bytes
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready:
            chunk = self._next_chunk()
            if not chunk and self._begun:
                raise EOFError("the last zstd frame has no end")
            if not chunk:
                return 0
            self._begun = True
            self._ready = self._frame.decompress(chunk)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _next_chunk(self) -> bytes:
        """Returns compressed bytes: what the last frame left over, else more of the file."""
        rest = b""
        if self._frame.eof:
            rest = self._frame.unused_data
            self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = False
        return rest or self._raw.read(CHUNK)
