"""Facts counted for many texts at once are those of each text alone, and what a plain count gives."""

import re
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules.facts import facts
from baichuan_jax.data.rules.normalize import normalize
from tests.data.rules.counting import count_kinds

TEXTS = st.lists(st.text("ab 中文。.…!*-”)\n\t1é😀", max_size=40).map(normalize), max_size=8)
CLOSING = "”’」』）》〉】\"')]*"


def layout(text: str) -> list[int]:
    """Return the columns of `Facts.layout`, counted one line after the other."""
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
    """Return the characters of lines that an earlier one may be equal to."""
    looks = [(len(line), *(line[len(line) * quarter // 4] for quarter in range(4))) for line in lines]
    return sum(look[0] for look in looks) - sum(look[0] for look in set(looks))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_batch(texts):
    found = facts(texts)
    for number, text in enumerate(texts):
        alone = facts([text])
        assert [found.languages[number]] == alone.languages
        assert found.hints.get(number) == alone.hints.get(0)
        assert found.kinds[:, number].tolist() == count_kinds(text)
        assert found.letters[number] == len(re.findall("[ab中文é]", text))
        assert found.visible[number] == max(1, len(re.findall(r"\S", text)))
        *plain, repeats = layout(text)
        assert found.layout[:-1, number].tolist() == plain
        assert repeats <= found.layout[-1, number] <= sum(map(len, text.split("\n")))


def test_lines_that_may_repeat_are_few():
    random = Random(0)
    texts = ["\n".join(f"{random.getrandbits(99):x}" for _ in range(300)) for _ in range(8)]
    assert max(facts(texts).layout[-1]) <= 0.1 * min(map(len, texts))
