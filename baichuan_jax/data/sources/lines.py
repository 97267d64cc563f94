"""Lines of plain and compressed files, noticing files that were cut short and lines beyond all measure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from gzip import BadGzipFile
from typing import IO

from isal.igzip import IGzipFile
from isal.isal_zlib import IsalError

from baichuan_jax.data.document import Damaged
from baichuan_jax.data.sources.storage import File, open_file

CHUNK = 1 << 14  # bytes decompressed at once: so many may be lost before a cut
MOST = 64 << 20  # bytes of a line; a longer one is never held in memory
HEAD = 200  # bytes of it that are shown


def lines(file: File) -> Iterator[tuple[int, bytes | Damaged]]:
    """Yields (number from 1, line) of a file, decompressing .gz and .zst.

    In place of a line longer than MOST, and at the end of a file that cannot be read to its end, stands what is wrong.
    """
    number = 0
    try:
        with open_file(file) as raw:
            stream = _decompressed(raw, str(file))
            while line := stream.readline(MOST + 1):
                number += 1
                if len(line) > MOST:
                    yield number, _too_long(stream, line, f"{file}:{number}")
                else:
                    yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except (EOFError, BadGzipFile, IsalError) as error:
        yield number + 1, _cut(file, number, error)
    except OSError as error:
        yield number + 1, unreadable(file, error) if error.errno else _cut(file, number, error)


def unreadable(file: File, error: OSError) -> Damaged:
    """Returns what is to be said of a file that cannot be opened or read."""
    return Damaged(str(file), "unreadable_file", f"{file}: cannot be read ({error.strerror or error})")


def _cut(file: File, number: int, error: Exception) -> Damaged:
    said = f"truncated or corrupt: {number:,} documents could be read ({error}); fetch the file again"
    return Damaged(str(file), "truncated_file", f"{file}: {said}")


def _too_long(stream: IO[bytes], line: bytes, source: str) -> Damaged:
    """Skips the rest of a line."""
    head = line[:HEAD].decode(errors="replace")
    while line and not line.endswith(b"\n"):
        line = stream.readline(CHUNK)
    return Damaged(source, "line_too_long", f"{source}: a line of more than {MOST >> 20} MB; is it JSON lines?", head)


def _decompressed(raw: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return IGzipFile(fileobj=raw)  # three times as fast as that of Python
    if name.endswith(".zst"):
        import pyarrow

        # The reader of the zstandard package does not notice where the last frame is cut short.
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd"), CHUNK)
    return raw
