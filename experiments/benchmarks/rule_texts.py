"""The texts whose labels judge the rules: corpora, evaluation sets as raw text and the demo corpora.

The language is what the source is known to be written in, and not what the rules take a text for. Source code and its
exercises are "code".
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from baichuan_jax.data.document import Document
from baichuan_jax.data.sources.demo import read_demo

DEMOS = {"zh_reviews": "zh", "zh_news": "zh", "en_speeches": "en", "code": "code"}
ZIPPED = {"ceval": "zh", "cmmlu": "zh", "mmlu": "en"}  # archives of CSV files
ENGLISH = ("aqua", "gaokao-english", "logiqa-en", "lsat", "math", "sat", "20")  # beginnings of files of AGIEval
LETTERS = "ABCD"
HASH_BYTES = 8
IDEOGRAPH = re.compile("[\u4e00-\u9fff]")


class Text(NamedTuple):
    """A raw text. source: label of the corpus or set that it comes from. language: zh, en or code."""

    source: str
    language: str
    text: str

    @property
    def id(self) -> str:
        """The source and a hash of the text, so that a text that changed is no longer found."""
        return f"{self.source}:{short_hash(self.text)}"


def short_hash(text: str) -> str:
    """Return 16 hexadecimal digits of the BLAKE2b hash of a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).hexdigest()


def all_texts(corpora: Iterable[Path], evaluation: Path | None, demos: Iterable[str] = DEMOS) -> Iterator[Text]:
    """Yield every text once, however often its source repeats it.

    corpora: folders of NAME.zh.jsonl.gz and NAME.en.jsonl.gz. evaluation: the folder with the evaluation sets.
    """
    seen = set()
    for part in (_corpora(corpora), _evaluation(evaluation) if evaluation else (), _demos(demos)):
        for text in part:
            if text.text.strip() and text.id not in seen:
                seen.add(text.id)
                yield text


def _corpora(folders: Iterable[Path]) -> Iterator[Text]:
    for path in sorted(path for folder in folders for path in folder.glob("*.jsonl.gz")):
        source = path.name.removesuffix(".jsonl.gz")
        language = source.rpartition(".")[2]
        if language in ("zh", "en"):
            for text in (record["text"] for record in _records(path)):
                yield Text(source, "zh" if _is_chinese(text) else language, text)


def _is_chinese(text: str) -> bool:
    """Return whether one character in ten is an ideograph: translations may lie beside what has not been translated."""
    return 10 * len(IDEOGRAPH.findall(text)) >= len(text)


def _demos(names: Iterable[str]) -> Iterator[Text]:
    for name in names:
        for document in read_demo(name, "skip"):
            if isinstance(document, Document):
                yield Text(name, DEMOS[name], document.text)


def _evaluation(folder: Path) -> Iterator[Text]:
    for name, language in ZIPPED.items():
        if (path := folder / f"{name}.zip").exists():
            yield from (Text(name, language, _of_row(row, language)) for row in _zipped_rows(path))
    for path in sorted(folder.glob("agieval/*.jsonl")):
        language = "en" if path.name.startswith(ENGLISH) else "zh"
        yield from (Text("agieval", language, _of_agieval(record)) for record in _records(path))
    for path in sorted(folder.glob("gaokao/*.json")):
        language = "en" if "English" in path.name else "zh"
        for record in json.loads(path.read_text(encoding="utf-8-sig"))["example"]:
            yield Text("gaokao", language, _lines(record["question"], _answer(language, record["answer"])))
    for name, keys, language in (
        ("gsm8k", ("question", "answer"), "en"),
        ("math", ("problem", "solution"), "en"),
        ("humaneval", ("prompt", "canonical_solution"), "code"),
    ):
        for path in sorted(folder.glob(f"{name}/*.jsonl*")):
            for record in _records(path):
                joint = "" if language == "code" else "\n"
                yield Text(name, language, joint.join(record[key] for key in keys))


def _records(path: Path) -> Iterator[Any]:
    """Yield the values of JSON lines, which end with a line feed alone."""
    raw = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    return (json.loads(line) for line in raw.split(b"\n") if line.strip())


def _zipped_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of the CSV files in an archive, by column."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".csv")):
            rows = list(csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"), newline="")))
            header = [cell.lower() for cell in rows[0]]
            if "question" not in header:
                rows.insert(0, [])
                header = ["question", *LETTERS.lower(), "answer"]
            for row in rows[1:]:
                yield dict(zip(header, row))


def _of_row(row: dict[str, str], language: str) -> str:
    choices = (f"{letter}. {row[letter.lower()]}" for letter in LETTERS)
    return _lines(row["question"], *choices, _answer(language, row.get("answer")), row.get("explanation"))


def _of_agieval(record: dict[str, Any]) -> str:
    return _lines(record.get("passage"), record["question"], *(record.get("options") or ()))


def _answer(language: str, answer: str | list[str] | None) -> str:
    if not answer:
        return ""
    return ("Answer: " if language == "en" else "答案：") + (answer if isinstance(answer, str) else "、".join(answer))


def _lines(*parts: str | None) -> str:
    return "\n".join(part for part in parts if part)
