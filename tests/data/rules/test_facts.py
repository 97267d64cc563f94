"""Facts counted for many texts at once are those of each text alone, and what a plain count gives."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data import characters
from baichuan_jax.data.rules.facts import facts, facts_batch
from baichuan_jax.data.rules.normalize import normalize
from tests.data.rules.counting import count_kinds

TEXTS = st.lists(st.text("ab 中文。.…!*-”)\n\t1é😀", max_size=40).map(normalize), max_size=8)
CLOSING = "”’」』）》〉】\"')]*"


def layout(text: str) -> list[int]:
    """The columns of `Facts.layout`, counted one line after the other."""
    lines = [line.lstrip(" \t") for line in text.split("\n") if line.strip()]

    def is_loose(line: str) -> bool:
        body = line[:-1] if line[-1] in CLOSING else line
        body = body[:-1] if body and body[-1] in CLOSING and body != line else body
        return len(line) <= 20 and not body.endswith((".", "!", "。", "…"))

    return [
        len(text.split()),
        len(lines),
        sum(line.startswith(("-", "*")) for line in lines),
        sum(line.endswith(("...", "…", "。。。")) for line in lines),
        sum(map(is_loose, lines)),
        max(map(len, lines), default=0),
        repeated(lines),
    ]


def repeated(lines: list[str]) -> int:
    """The characters of lines that an earlier one may be equal to."""
    looks = [(len(line), *(line[len(line) * quarter // 4] for quarter in range(4))) for line in lines]
    return sum(look[0] for look in looks) - sum(look[0] for look in set(looks))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_batch(texts):
    found = facts_batch(texts)
    assert [known.text for known in found] == texts
    assert found == [facts(text) for text in texts]
    for known in found:
        assert known.kinds == count_kinds(known.text)
        assert known.letters == len(re.findall("[ab中文é]", known.text))
        assert known.visible == max(1, len(re.findall(r"\S", known.text)))
        assert known.layout == layout(known.text)


def test_texts_longer_than_a_batch(monkeypatch):
    texts = ["中文 abc。\n" * length for length in range(20)]
    together = facts_batch(texts)
    monkeypatch.setattr(characters, "BATCH", 50)
    assert facts_batch(texts) == together
