"""Evaluation data sets read from files on disk, with the columns of the versions on the hub.

A data set is a folder or a zip file with its name, as its authors publish it: `ceval.zip` or `ceval/`, containing
`val/` and `dev/`.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import decode_json

Row = dict[str, object]
Splits = dict[str, list[Row]]
Folder = Path | zipfile.Path
LETTERS, FOUR = "ABCDEFG", ("A", "B", "C", "D")


def folder_of(data_dir: Path, name: str) -> Folder:
    """Return the folder of a data set, in a zip file or not. Raise UserError if there is neither."""
    if (data_dir / name).is_dir():
        return data_dir / name
    archive = data_dir / f"{name}.zip"
    if not archive.is_file():
        raise UserError(f"--data-dir {data_dir}: neither {name}/ nor {name}.zip in it")
    try:
        return zipfile.Path(archive)
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive} is damaged ({error}); download it again") from error


def _read(folder: Folder, name: str) -> str:
    file = folder / name
    if not file.is_file():
        raise UserError(f"{file} is missing")
    data = file.read_bytes()
    try:
        return (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} is damaged ({error}); download it again") from error


def checked(rows: Sequence[Row], file: Folder, fields: Sequence[str], letter: str = "") -> list[Row]:
    """Return the questions. Raise UserError if there are none, a field is missing, or `letter` is not one of A to D."""
    for number, row in enumerate(rows, 1):
        require_fields(row, file, number, fields)
        if letter and row[letter] not in FOUR:
            raise UserError(
                f"{file}: question {number} has {letter} = {row[letter]!r}: expected one of {', '.join(FOUR)}"
            )
    if not rows:
        raise UserError(f"{file} has no questions; download it again")
    return list(rows)


def require_fields(row: Row, file: Folder, number: int, fields: Sequence[str]) -> None:
    """Raise UserError on a question without one of these fields, or with more fields than the header of its table."""
    missing = [name for name in fields if row.get(name) is None] if isinstance(row, dict) else fields
    if missing or None in row:
        what = f"no {', '.join(missing)}" if missing else "too many fields"
        raise UserError(f"{file}: question {number} has {what}; the file is damaged or of another kind")


def _table(folder: Folder, name: str, letter: str, fields: Sequence[str]) -> list[Row]:
    rows = list(csv.DictReader(io.StringIO(_read(folder, name), newline="")))
    return checked(rows, folder / name, [*fields, *FOUR, letter], letter)


def json_lines(folder: Folder, name: str, *fields: str) -> list[Row]:
    """Return the rows of a file of JSON lines, which may be gzipped.

    Raise UserError if it is missing or damaged, or a row lacks one of the fields.
    """
    lines = (line for line in _read(folder, name).split("\n") if line.strip())
    return checked([_parse(line, folder / name) for line in lines], folder / name, fields)


def json_of(folder: Folder, name: str) -> Row:
    """Return the content of a JSON file. Raise UserError if it is missing or damaged."""
    return _parse(_read(folder, name), folder / name)


def _parse(text: str, file: Folder) -> Row:
    try:
        return decode_json(text)
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}); download it again") from error


def ceval(folder: Folder, subject: str) -> Splits:
    """C-Eval (arXiv 2305.08322): question, A, B, C, D, answer."""
    read = lambda split: _table(folder, f"{split}/{subject}_{split}.csv", "answer", ["question"])
    return {split: read(split) for split in ("val", "dev")}


def cmmlu(folder: Folder, subject: str) -> Splits:
    """CMMLU (arXiv 2306.09212): Question, A, B, C, D, Answer."""
    keep = lambda row: {name: value for name, value in row.items() if name}
    read = lambda split: _table(folder, f"{split}/{subject}.csv", "Answer", ["Question"])
    return {split: list(map(keep, read(split))) for split in ("test", "dev")}


def mmlu(folder: Folder, subject: str) -> Splits:
    """MMLU (arXiv 2009.03300): question, choices, answer (0 to 3), subject."""
    columns = ["question", *FOUR, "answer"]

    def split(name: str) -> list[Row]:
        file = f"data/{name}/{subject}_{name}.csv"
        lines = io.StringIO(_read(folder, file), newline="")
        rows = checked(list(csv.DictReader(lines, columns)), folder / file, columns, "answer")
        return [
            {
                "question": row["question"],
                "subject": subject,
                "choices": [row[letter] for letter in FOUR],
                "answer": FOUR.index(row["answer"]),
            }
            for row in rows
        ]

    return {"test": split("test"), "validation": split("val"), "dev": split("dev")}


def gsm8k(folder: Folder, _: str) -> Splits:
    """GSM8K (arXiv 2110.14168): question, answer."""
    return {split: json_lines(folder, f"{split}.jsonl", "question", "answer") for split in ("train", "test")}


def math(folder: Folder, kind: str) -> Splits:
    """MATH (arXiv 2103.03874): problem, solution, level, type. kind: as in "counting_and_probability"."""
    of_kind = lambda row: row["type"].lower().replace("&", "and").replace(" ", "_") == kind
    rows = json_lines(folder, "test.jsonl", "problem", "solution", "level", "type")
    return {"train": [], "test": [row for row in rows if of_kind(row)]}


def humaneval(folder: Folder, _: str) -> Splits:
    """HumanEval (arXiv 2107.03374): task_id, prompt, canonical_solution, test, entry_point."""
    return {"test": json_lines(folder, "HumanEval.jsonl.gz", "task_id", "prompt", "test", "entry_point")}


def agieval(folder: Folder, name: str) -> Splits:
    """AGIEval (arXiv 2304.06364) with its own zero-shot prompts: query, and choices and gold, or answer."""
    return {"test": [_agieval_row(row, name) for row in agieval_rows(folder, name)]}


def agieval_rows(folder: Folder, name: str) -> list[Row]:
    """Return the questions of a part of AGIEval: each has options and the correct letters, or an answer."""
    rows = json_lines(folder, f"{name}.jsonl", "question")
    for number, row in enumerate(rows, 1):
        require_fields(row, folder / f"{name}.jsonl", number, ["label" if row.get("options") else "answer"])
    return rows


# The letter before an option: "(A)", "A." and the like, or a letter followed by a space, as before any noun.
MARK = re.compile(r"\s*(?:[(（]([A-J])[)）]|([A-J])\s*[．.、:：?？])\s*")
SPACED = re.compile(rf"{MARK.pattern}|\s*([A-J])\s+")


def places_of_letters(options: Sequence[str]) -> list[int]:
    """Return the places of the options A, B, C ...: some questions print them as A, C, B, D.

    Their own order, unless each option begins with a letter and no letter is missing.
    """
    return _places(options) or list(range(len(options)))


def by_letter(options: Sequence[str]) -> list[str]:
    """Return the options in the order A, B, C ..., without their letters."""
    places = _places(options)
    mark = SPACED if places else MARK
    texts = options if places is None else [options[place] for place in places]
    return [text[match.end() :] if (match := mark.match(text)) else text for text in texts]


def _places(options: Sequence[str]) -> list[int] | None:
    """Return the place of each letter; None unless each letter precedes exactly one option."""
    found = [match and next(filter(None, match.groups())) for match in map(SPACED.match, options)]
    letters = LETTERS[: len(options)]
    return list(map(found.index, letters)) if sorted(map(str, found)) == list(letters) else None


def is_chinese(name: str) -> bool:
    """Return whether a part of AGIEval is asked in Chinese."""
    return (name.startswith(("gaokao", "jec")) and name != "gaokao-english") or name == "logiqa-zh"


def _agieval_row(row: Row, name: str) -> Row:
    chinese = is_chinese(name)
    passage, question, options = row.get("passage") or "", row["question"], row.get("options")
    if not options:
        query = f"问题：{question}\n答案：" if chinese else f"Q: {question}\nA: The answer is"
        return {"query": passage + query, "answer": row["answer"]}
    last = LETTERS[len(options) - 1]
    if chinese:
        query = f"问题：{question} 选项：{' '.join(options)}\n答案：从A到{last}, 我们应选择"
    else:
        query = f"Q: {question} Answer Choices: {' '.join(options)}\nA: Among A through {last}, the answer is"
    places = places_of_letters(options)
    gold = [places[LETTERS.index(letter)] for letter in re.findall(f"[{LETTERS[: len(options)]}]", str(row["label"]))]
    return {"query": passage + query, "choices": options, "gold": gold}


# Name of a data set on the hub -> (folder, reader).
HUB: dict[str, tuple[str, Callable[[Folder, str], Splits]]] = {
    "ceval/ceval-exam": ("ceval", ceval),
    "haonan-li/cmmlu": ("cmmlu", cmmlu),
    "cais/mmlu": ("mmlu", mmlu),
    "openai/gsm8k": ("gsm8k", gsm8k),
    "EleutherAI/hendrycks_math": ("math", math),
    "openai/openai_humaneval": ("humaneval", humaneval),
}
AGIEVAL = "hails/agieval-"


def splits(data_dir: Path, path: str, name: str | None) -> Splits:
    """Return {split: rows} of a data set and part, named as on the hub. Raise UserError if it is unknown."""
    if path.startswith(AGIEVAL):
        return agieval(folder_of(data_dir, "agieval"), path.removeprefix(AGIEVAL))
    if path not in HUB:
        known = ", ".join([*HUB, f"{AGIEVAL}*"])
        raise UserError(
            f"--data-dir does not support data set {path!r}; supported: {known}. Without --data-dir it is downloaded"
        )
    folder, read = HUB[path]
    return read(folder_of(data_dir, folder), name or "")


def names(folder: Folder, ending: str) -> list[str]:
    """Return the names of files with this ending, in order."""
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(ending))
