"""Each rule removes what it is for, and leaves ordinary text of every language."""

import inspect
import random

import pytest

from baichuan_jax.data.characters import BROKEN, DIGIT, HAN, KANA, KINDS, LATIN, LETTER, PUNCTUATION, SPACE, SYMBOL
from baichuan_jax.data.characters import count_kinds as count
from baichuan_jax.data.language import identify
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.document import RULES, broken_rule, facts

ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高，比附近的饭店感觉要好得多，下次还会来。"
EN = (
    "It is with great satisfaction that I report to you on the state of the Union, which has grown in this year as in "
    "the years before it. The rising credit of our country gives us cause to hope."
)
CODE = inspect.getsource(random)
FR = "Le conseil municipal a décidé hier soir que les écoles de la ville seraient fermées à cause de la neige."
JA = "これは日本語の文章です。ひらがなとカタカナが混ざっています。"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ZH, "zh"),
        ("用vista系统，装了office 2003和photoshop", "zh"),
        (EN, "en"),
        ("waste of my money. My children", "en"),
        (CODE, "code"),
        (FR, "other"),
        (JA, "other"),
        ("Привет, мир", "other"),
        ("", "other"),
    ],
)
def test_language(text, language):
    assert identify(text, count(text)) == language


def test_kinds():
    kinds = dict.fromkeys(range(KINDS), 0) | {
        HAN: 3, KANA: 2, LATIN: 2, LETTER: 3, DIGIT: 3, SPACE: 3, PUNCTUATION: 2, SYMBOL: 2, BROKEN: 2,
    }  # fmt: skip
    assert count("你〇𠀀かナaZéЖ한1½Ⅷ \n\t，.~😀\ufffd\ue000") == list(kinds.values())


# At least one text for every rule.
REMOVED = {
    "too_short": ["", "不错", "京东送货够快。", "Good book.", "12345 67890"],
    "too_long": [EN * 12_000],
    "broken_text": ["锟斤拷锟斤拷" + ZH, ZH[:20] + "\ufffd\ufffd", EN.replace(" ", "\ufffd ", 5), "Ã©tait â€œ" + EN],
    "few_letters": ["上面的点评是别的" + "！？" * 20, "川长征46.04\n南白药39.82\n明胶33.41\n物资26.40\n张家界25.68"],
    "many_digits": ["共收到2008年4月28日的信1256件其中退回给本人337件后来剩下919件"],
    "many_symbols": ["就是房间的灯光太不满意" + "~" * 8],
    "word_length": [" ".join("abcdefghijklmnop" for _ in range(8)), " ".join("a b c d e" for _ in range(20))],
    "long_lines": [CODE + "x = '" + "abcdefghijklmnopqrstuvwxyz" * 50 + "'\n"],
    "bullets": ["\n".join(f"- point number {word} of the list" for word in EN.split())],
    "ellipses": ["\n".join(f"{part} and more of it in the rest..." for part in EN.split(","))
                 + "\nWe go on...\nYou read it...\nThe end of the story..."],
    "repeated_lines": ["\n".join([ZH, "点击这里查看更多内容", EN[:40], "点击这里查看更多内容"] * 3)],
    "repetitive": ["物流速度太慢了，" * 12, "this is the best of the best " * 30],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in REMOVED.items() for text in texts])
def test_removed(rule, text):
    assert broken_rule(facts(normalize(text))) == rule


def test_every_rule_is_tested():
    assert REMOVED.keys() == RULES.keys()


@pytest.mark.parametrize(
    "text",
    [
        ZH,
        EN,
        CODE,
        FR,
        JA,
        "好小巧玲珑呢~精致~没有噪音~",
        "Vista 还是不习惯，而且2G的内存还是让我觉得拖沓...",
        "*房间小，床不舒服，椅子是烂的；",
    ],
)
def test_kept(text):
    assert broken_rule(facts(normalize(text))) is None
