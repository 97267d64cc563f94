"""User-defined symbols that come before the bytes: ids 3 to 392 of Baichuan-7B's public vocabulary."""

from __future__ import annotations

import re

TAGS = "h2 br strong h1 p h5 h3 table li tr h4 tbody img b td".split()
DIGITS = (*"0123456789", *"０１２３４５６７８９")
PUNCTUATION = tuple("，。！？、：￥.!?《》【】『』")
MARKS = ("```", "<!--", "-->", "---", "<!DOCTYPE>")
RESERVED = tuple(f"<reserved_{number}>" for number in range(300))
BAICHUAN = (
    *("<SEP>", "<CLS>", "\n", "\t"),
    *(form for tag in TAGS for form in (f"<{tag}>", f"<{tag}/>", f"</{tag}>")),
    *(*DIGITS, *PUNCTUATION, *MARKS, *RESERVED),
)
LAYOUTS: dict[str, tuple[str, ...]] = {"plain": (), "baichuan": BAICHUAN}

_NAMED = re.compile(r"<\|?\w+\|?>")
_TEXT = {f"<{tag}>" for tag in TAGS}


def is_special(symbol: str) -> bool:
    """Return whether a symbol is not text: <reserved_0>, <SEP>, <|tab|>. <p> and digits are text."""
    return _NAMED.fullmatch(symbol) is not None and symbol not in _TEXT
