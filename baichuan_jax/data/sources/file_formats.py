"""Files of text: the known formats and their readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import PurePath

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import Reading
from baichuan_jax.data.document import Damaged, Document, decoded
from baichuan_jax.data.encodings.detect import settle_encoding
from baichuan_jax.data.sources.byte_lines import COMPRESSIONS, read_bytes
from baichuan_jax.data.sources.file_system import File, find_paths
from baichuan_jax.data.sources.json_files import read_json, read_json_lines
from baichuan_jax.data.sources.tables import read_parquet, read_separated
from baichuan_jax.data.sources.web_pages import NO_TEXT, read_page

Found = Iterator[Document | Damaged]
NAMED = 3  # most files that a message names


def find_files(pattern: str) -> tuple[File, ...]:
    """Return the files of a path or glob, sorted. Raise UserError if there are none, or some have unknown formats."""
    files = find_paths(pattern)
    unknown = [file for file in files if format_of(file) is None]
    if unknown:
        raise UserError(_refusal(pattern, unknown, len(files)))
    return files


def read_file(file: File, reading: Reading) -> Found:
    """Yield the documents of a file, and a Damaged for what cannot be read. Raise UserError instead if damage stops."""
    reader = FORMATS.get(format_of(file) or "")
    if reader is None:
        raise UserError(_refusal(str(file), [file], 1))
    for found in reader(file, reading):
        if isinstance(found, Damaged) and reading.damaged == "stop" and found.reason != NO_TEXT:
            raise UserError(found.message)
        yield found


def read_text(file: File, reading: Reading) -> Found:
    """Yield the file as a single document."""
    raw = read_bytes(file, "split it")
    if isinstance(raw, Damaged):
        yield raw
    else:
        raw, encoding = settle_encoding(raw, reading.encoding)
        yield decoded(raw, str(file), reading.damaged, encoding)


def format_of(file: File) -> str | None:
    """Return the extension of a file that FORMATS knows, without that of a compression; None if there is none."""
    name = str(file).lower()
    packed = next((ending for ending in COMPRESSIONS if name.endswith(ending)), "")
    ending = PurePath(name.removesuffix(packed)).suffix
    return ending if ending in FORMATS and not (packed and ending in PACKED_ITSELF) else None


def _refusal(pattern: str, unknown: list[File], files: int) -> str:
    """Return the message for files of unknown formats. files: number of files of any format."""
    by_ending = defaultdict(list)
    for file in unknown:
        by_ending[_ending(file)].append(str(file))
    said = [f"{_listed(names)}: {_advice(ending)}" for ending, names in sorted(by_ending.items())]
    if files > len(unknown):
        said.append(f"the other {files - len(unknown):,} can be read: select them by ending, as in '*.txt'")
    packed = ", ".join(COMPRESSIONS)
    endings = f"supported endings: {', '.join(FORMATS)}; all but .parquet may be followed by {packed}"
    return f"{pattern}: {'; '.join(said)}; {endings}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _ending(file: File) -> str:
    name = str(file).lower()
    return max((ending for ending in CONVERTERS if name.endswith(ending)), key=len, default=PurePath(name).suffix)


def _advice(ending: str) -> str:
    if ending in CONVERTERS:
        return f"not text; convert with {CONVERTERS[ending]}"
    return "unsupported kind of file" if ending else "a file without an ending is not supported"


FORMATS: dict[str, Callable[[File, Reading], Found]] = {
    ".txt": read_text,
    ".md": read_text,
    ".html": read_page,
    ".htm": read_page,
    ".xhtml": read_page,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".csv": read_separated,
    ".tsv": read_separated,
    ".parquet": read_parquet,
}
PACKED_ITSELF = (".parquet",)
_PANDOC, _OFFICE, _CALIBRE = "pandoc -t plain -o OUT.txt FILE", "libreoffice --headless --convert-to", "ebook-convert"
# Extension of a format that is not text -> the tool that converts it to text.
CONVERTERS = {
    ".pdf": "pdftotext FILE OUT.txt (poppler-utils)",
    ".djvu": "djvutxt FILE OUT.txt (djvulibre)",
    **dict.fromkeys((".epub", ".docx", ".odt", ".rtf", ".rst", ".tex", ".fb2", ".ipynb"), _PANDOC),
    **dict.fromkeys((".doc", ".wps"), f"{_OFFICE} txt FILE"),
    **dict.fromkeys((".xls", ".xlsx", ".ods"), f"{_OFFICE} csv FILE"),
    **dict.fromkeys((".ppt", ".pptx"), f"{_OFFICE} pdf FILE, then pdftotext"),
    **dict.fromkeys((".mobi", ".azw", ".azw3"), f"{_CALIBRE} FILE OUT.txt (calibre)"),
    **dict.fromkeys((".arrow", ".feather"), "pyarrow: parquet.write_table(feather.read_table(FILE), OUT)"),
    ".zip": "unzip FILE",
    ".rar": "unrar x FILE",
    ".7z": "7z x FILE",
    **dict.fromkeys((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"), "tar -xf FILE"),
}
