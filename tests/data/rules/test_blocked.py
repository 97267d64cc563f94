"""Blocked words are counted as words, in Latin script, and anywhere in Chinese."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.rules.blocked import BlockedWords


@pytest.mark.parametrize(
    ("words", "text", "count"),
    [
        ([], "anything", 0),
        (["Bad"], "bad, BAD and badly in sinbad; bad", 3),
        (["赌博", "赌"], "赌博和赌场", 2),
        (["c++", "a.b"], "C++ a.b axb c+", 2),
        (["new york", "new"], "new york is new", 2),
        (["qq群"], "加QQ群 加xQQ群", 1),
    ],
)
def test_count(words, text, count):
    assert BlockedWords(words).count(text) == count


def test_files(tmp_path):
    (tmp_path / "zh.txt").write_text("赌博\n\n  彩票 \n", encoding="utf-8")
    assert BlockedWords([str(tmp_path / "zh.txt"), "casino"]).count("赌博 彩票 Casino") == 3


def test_bad_files(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9")
    for path in ("absent.txt", str(tmp_path), str(tmp_path / "latin.txt")):
        with pytest.raises(UserError, match=r"FilterConfig\.blocked_words"):
            BlockedWords([path])


WORDS = st.lists(st.text("ab中c.", min_size=1, max_size=4), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.text("ab中c. ", max_size=60))
def test_tree_is_the_plain_alternation(words, text):
    def spelt(word: str) -> str:
        start = "(?<![a-z0-9])" if re.match("[a-z]", word) else ""
        return start + re.escape(word) + ("(?![a-z0-9])" if re.search("[a-z]$", word) else "")

    plain = re.compile("|".join(map(spelt, sorted(words, key=lambda word: (-len(word), word)))))
    assert BlockedWords(words).count(text) == len(plain.findall(text))
