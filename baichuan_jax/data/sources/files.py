"""Text files: which formats there are, and how each becomes documents."""

from __future__ import annotations

import difflib
import glob
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.document import Document, InvalidUtf8, decode, decoded
from baichuan_jax.data.sources.lines import lines


def find_files(pattern: str) -> tuple[Path, ...]:
    """Returns the files of a path or glob, sorted. Raises UserError if there are none or one cannot be read."""
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise UserError(f"{pattern} is a directory: name its files, for example {path / '**/*.jsonl'}")
    found = (path,) if path.is_file() else tuple(sorted(map(Path, glob.glob(str(path), recursive=True))))
    files = tuple(file for file in found if file.is_file())
    if not files:
        raise UserError(f"no file matches {pattern!r}{_near(path)}")
    for file in files:
        reader(file)
    return files


def _near(path: Path) -> str:
    """Returns a hint at what is there instead of `path`."""
    parent = path.parent
    if glob.has_magic(str(parent)):
        return "; ** matches any number of directories"
    if not parent.is_dir():
        return f": there is no directory {parent}"
    names = sorted(entry.name for entry in parent.iterdir())
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {parent / close[0]}?" if close else f"; {parent} holds {', '.join(names[:8]) or 'nothing'}"


def read_file(path: Path, text_field: str, invalid_utf8: InvalidUtf8) -> Iterator[Document]:
    """Yields the documents of a file. Raises UserError, naming the place, on anything that cannot be read."""
    return reader(path)(path, text_field, invalid_utf8)


def reader(path: Path) -> Callable[[Path, str, InvalidUtf8], Iterator[Document]]:
    """Returns the function that reads files named like `path`. Raises UserError if the ending is not known."""
    for suffix, function in READERS.items():
        if path.name.endswith(suffix):
            return function
    raise UserError(f"{path}: cannot read this kind of file; supported endings: {', '.join(READERS)}")


def read_whole(path: Path, text_field: str, invalid_utf8: InvalidUtf8) -> Iterator[Document]:
    """Yields the file as one document."""
    yield decoded(path.read_bytes(), str(path), invalid_utf8)


def read_json_lines(path: Path, text_field: str, invalid_utf8: InvalidUtf8) -> Iterator[Document]:
    """Yields one document for each line, a JSON object; blank lines are skipped."""
    for number, line in lines(path):
        source = f"{path}:{number}"
        record, replaced = decode(line, source, invalid_utf8)
        if record.strip():
            text = _field(_parse(record, source), text_field, source)
            # JSON can hold half of a surrogate pair ("\\ud83d"), which is no character and has no UTF-8.
            text, halves = decode(text.encode(errors="surrogatepass"), source, invalid_utf8)
            yield Document(text, source, replaced + halves)


def _parse(line: str, source: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{source}: not JSON: {error.msg} at character {error.pos + 1}") from None


def _field(record: Any, name: str, source: str) -> str:
    if not isinstance(record, dict):
        raise UserError(f"{source}: expected a JSON object with a field {name!r}, found {type(record).__name__}")
    if name not in record:
        raise UserError(f"{source}: no field {name!r}; {_choose(record)}")
    if not isinstance(record[name], str):
        raise UserError(f"{source}: field {name!r} is not a string but {record[name]!r:.80}")
    return record[name]


def _choose(fields: Iterable[str]) -> str:
    return f"its fields are {', '.join(fields)}; choose with DataConfig.text_field"


def read_parquet(path: Path, text_field: str, invalid_utf8: InvalidUtf8) -> Iterator[Document]:
    """Yields one document for each row of a column of strings."""
    import pyarrow
    from pyarrow import parquet

    number = 0
    with _whole_parquet(path):
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if text_field not in names:
            raise UserError(f"{path}: no column {text_field!r}; {_choose(names)}")
        kind = file.schema_arrow.field(text_field).type
        if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.large_binary()):
            raise UserError(f"{path}: column {text_field!r} holds {kind}, not strings")
        for batch in file.iter_batches(batch_size=1024, columns=[text_field]):
            for raw in batch.column(0).cast(pyarrow.large_binary()).to_pylist():
                number += 1
                source = f"{path}:{number}"
                if raw is None:
                    raise UserError(f"{source}: column {text_field!r} is null")
                yield decoded(raw, source, invalid_utf8)


@contextmanager
def _whole_parquet(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a whole Parquet file ({error}); fetch the file again") from None


READERS: dict[str, Callable[[Path, str, InvalidUtf8], Iterator[Document]]] = {
    ".txt": read_whole,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".jsonl.zst": read_json_lines,
    ".parquet": read_parquet,
}
