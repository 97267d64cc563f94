"""Plain and compressed files as bytes and as lines; truncated files and oversized lines are reported.

The bytes returned are in a superset of ASCII, with "\\n" between lines: UTF-16 is converted to UTF-8, and "\\r" to
"\\n" in files that end their lines with it alone. No other character ends a line.
"""

from __future__ import annotations

import bz2
import codecs
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from typing import IO
from zlib import error as ZlibError

from baichuan_jax.data.document import Damaged
from baichuan_jax.data.encodings.codec import UTF8, python_codec, split_byte_order_mark
from baichuan_jax.data.encodings.detect import AUTO, detect_encoding, is_utf16, utf16
from baichuan_jax.data.sources.file_system import File, open_file

CHUNK = 1 << 14  # bytes decompressed at once: so many may be lost where a file is truncated
MOST = 64 << 20  # most bytes of a line; a longer one is never in memory as a whole
HEAD = 200  # bytes of a longer line that are shown
SAMPLE = 1 << 16  # bytes of lines that are not ASCII, from which the encoding of a file is detected
BROKEN = (EOFError, BadGzipFile, ZlibError, lzma.LZMAError)  # what decompressors raise for a truncated file

codecs.register_error("baichuan_jax.not_utf8", lambda error: ("\udcff", error.end))


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    import pyarrow

    # The reader of the zstandard package does not notice a truncated last frame.
    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd"), CHUNK)


COMPRESSIONS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda raw: io.BufferedReader(GzipFile(fileobj=raw), CHUNK),  # GzipFile.readline is slower
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _zstandard,
}


@contextmanager
def decompressed(file: File) -> Iterator[IO[bytes]]:
    """Open a file, decompressed by its file name extension. Raise OSError; reading raises BROKEN too."""
    with open_file(file) as raw:
        for ending, opened in COMPRESSIONS.items():
            if str(file).lower().endswith(ending):
                with opened(raw) as stream:
                    yield stream
                return
        yield raw


def read_bytes(file: File, advice: str) -> bytes | Damaged:
    """Return the content of a file, or a Damaged. advice: what to do if it has more than MOST bytes."""
    try:
        with decompressed(file) as stream:
            raw = stream.read(MOST + 1)
    except (*BROKEN, OSError) as error:
        return unreadable(file, error)
    if len(raw) > MOST:
        head = raw[:HEAD].decode(errors="replace")
        return Damaged(str(file), "file_too_long", f"{file}: more than {MOST >> 20} MB in one piece; {advice}", head)
    return raw


def encoded_lines(file: File, encoding: str) -> Iterator[tuple[int, bytes | Damaged, str]]:
    """Yield (number, line, its encoding) of a file, as `lines` does.

    encoding: a name, or AUTO: the encoding is detected from the first lines that are not ASCII.
    """
    waiting: list[tuple[int, bytes | Damaged]] = []
    size, settled = 0, None if encoding == AUTO else UTF8 if is_utf16(encoding) else encoding
    for number, line in lines(file, encoding):
        if settled or (not waiting and (isinstance(line, Damaged) or line.isascii())):
            yield number, line, settled or UTF8
            continue
        waiting.append((number, line))
        size += 0 if isinstance(line, Damaged) or line.isascii() else len(line)
        if size >= SAMPLE:
            settled = _settled(waiting)
            yield from ((*entry, settled) for entry in waiting)
            waiting = []
    if waiting:
        settled = _settled(waiting)
        yield from ((*entry, settled) for entry in waiting)


def _settled(found: list[tuple[int, bytes | Damaged]]) -> str:
    return detect_encoding(b"".join(line for _, line in found if isinstance(line, bytes) and not line.isascii()))


def lines(file: File, encoding: str = AUTO) -> Iterator[tuple[int, bytes | Damaged]]:
    """Yield (number from 1, line) of a file, decompressed; in UTF-8 if the file is in UTF-16.

    A Damaged takes the place of a line longer than MOST, and follows the last line of a file that cannot be read to its
    end.
    """
    number = 0
    try:
        with decompressed(file) as raw:
            stream = _with_plain_ends(raw, encoding)
            while line := stream.readline(MOST + 1):
                number += 1
                if len(line) > MOST:
                    yield number, _too_long(stream, line, f"{file}:{number}")
                else:
                    yield number, split_byte_order_mark(line)[0] if number == 1 else line
    except BROKEN as error:
        yield number + 1, _cut(file, number, error)
    except OSError as error:
        yield number + 1, unreadable(file, error) if error.errno else _cut(file, number, error)


def _with_plain_ends(raw: IO[bytes], encoding: str) -> IO[bytes]:
    """Return a stream whose lines end in b"\\n"."""
    stream = raw if hasattr(raw, "peek") else io.BufferedReader(raw, CHUNK)
    head = stream.peek(CHUNK)
    wide = utf16(head) if encoding == AUTO else encoding if is_utf16(encoding) else None
    if wide:
        decoder = codecs.getincrementaldecoder(python_codec(wide))("baichuan_jax.not_utf8")
        stream = _mapped(stream, lambda part: decoder.decode(part, not part).encode(errors="surrogateescape"))
        head = stream.peek(CHUNK)
    if b"\r" in head[:-1] and b"\n" not in head:
        stream = _mapped(stream, lambda part: part.replace(b"\r", b"\n"))
    return stream


class _Mapped(io.RawIOBase):
    """A stream whose bytes are passed through a function, part by part."""

    def __init__(self, stream: IO[bytes], function: Callable[[bytes], bytes]):
        self._stream, self._function, self._rest = stream, function, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._rest:
            part = self._stream.read(CHUNK)
            self._rest = self._function(part)
            if not part:
                break
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _mapped(stream: IO[bytes], function: Callable[[bytes], bytes]) -> IO[bytes]:
    return io.BufferedReader(_Mapped(stream, function), CHUNK)


def unreadable(file: File, error: Exception) -> Damaged:
    """Return the Damaged for a file that cannot be opened or read."""
    if isinstance(error, OSError) and error.errno:
        return Damaged(str(file), "unreadable_file", f"{file}: cannot be read ({error.strerror or error})")
    return _cut(file, 0, error)


def _cut(file: File, number: int, error: Exception) -> Damaged:
    said = f"truncated or corrupt: {number:,} documents could be read ({error}); download the file again"
    return Damaged(str(file), "truncated_file", f"{file}: {said}")


def _too_long(stream: IO[bytes], line: bytes, source: str) -> Damaged:
    """Skip the rest of an oversized line; return the Damaged for it."""
    head = line[:HEAD].decode(errors="replace")
    while line and not line.endswith(b"\n"):
        line = stream.readline(CHUNK)
    return Damaged(source, "line_too_long", f"{source}: a line of more than {MOST >> 20} MB; is it JSON lines?", head)
