"""Words that stand for nothing a reader of the field knows: code, tests and docs do without them."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = sorted(path for folder in ("baichuan_jax", "experiments", "tests") for path in (ROOT / folder).rglob("*.py"))
DOCS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", *sorted((ROOT / "configs").rglob("*.gin"))]

# Word -> what to write instead. Identifiers are names, attributes, parameters and keyword arguments.
IDENTIFIERS = {
    "ways": "num_shards",
    "batch_ways": "batch_shards",
    "own_axes": "a name that says which axes",
    "shared_axes": "a name that says which axes",
    "sending": "a weight strategy",
    "Sending": "WeightStrategy",
    "late": "the step it is for",
    "lead": "on_primary",
    "together": "process_group",
    "Ends": "Embed, Head",
    "ends": "stops, or embed and head",
    "fates": "verdicts",
    "HERE": "PENDING",
    "unite": "exact_dedup",
}
FOLDERS = {"contained": "child"}
PROSE = ("sending", "Sending", "own_axes", "shared_axes", "fates", "unite", "that is none")
# `kernel` is a weight matrix in these files, and nothing anywhere else.
KERNELS = {
    "baichuan_jax/model/head.py",
    "tests/generate/test_storage.py",
    "tests/model/test_loss.py",
    "tests/model/test_matmul.py",
}
SELF = Path(__file__).relative_to(ROOT).as_posix()


def names(text: str) -> list[tuple[int, str]]:
    """Return (line, identifier) of Python source."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.NAME]


def prose(text: str) -> str:
    """Return the strings and comments of Python source, which docstrings are among, one below the other."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    return "\n".join(token.string for token in tokens if token.type in kinds)


def wrong_names(text: str, place: str) -> list[str]:
    """Return what is wrong with the identifiers of a file."""
    banned = IDENTIFIERS if place in KERNELS else {**IDENTIFIERS, "kernel": "implementation, or weight"}
    return [f"{place}:{line}: {name}: write {banned[name]}" for line, name in names(text) if name in banned]


def wrong_prose(text: str, place: str) -> list[str]:
    """Return what is wrong with the words of a text, which may be broken anywhere."""
    words = " ".join(re.sub(r"[#\s]+", " ", text).split())
    return [f"{place}: {word!r}" for word in PROSE if re.search(rf"\b{word}\b", words)]


def wrong_path(place: str) -> list[str]:
    """Return what is wrong with the name of a file and of the folders it is in."""
    *folders, file = place.split("/")
    known = {**IDENTIFIERS, **FOLDERS}
    found = [name for name in (*folders, Path(file).stem) if name in known or name == "kernel"]
    return [f"{place}: {name!r}: write {known.get(name, 'implementation')}" for name in found]


@pytest.mark.parametrize("path", [*SOURCE, *DOCS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words(path):
    place, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    found = wrong_path(place)
    if path.suffix == ".py":
        found += wrong_names(text, place)
        text = "" if place == SELF else prose(text)
    assert found + wrong_prose(text, place) == []


@pytest.mark.parametrize("word", [*IDENTIFIERS, "kernel"])
def test_an_identifier_is_found(word):
    for code in (f"{word} = 1", f"x.{word}", f"f({word}=1)", f"def f({word}): ...", f"from a import {word}"):
        assert wrong_names(code, "a.py"), code
    assert wrong_names(f"x = '{word}'  # {word}", "a.py") == []
    assert wrong_path(f"a/{word}/b.py")
    assert wrong_path(f"a/{word}.py")


@pytest.mark.parametrize("word", PROSE)
def test_a_word_in_prose_is_found(word):
    broken = word.replace(" ", "\n    # ")
    for code in (f'"""What {word} means."""', f"x = 1  # {broken}", f"raise ValueError('{word}')"):
        assert wrong_prose(prose(code), "a.py"), code
    assert wrong_prose(f"# Title\n{word}.", "a.md")
