"""Sentences are the same however their lines are wrapped; what is no running text loses nothing."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules.sentences import sentences, split_sentences
from experiments.benchmarks.sentence_removal import wrapped

ENGLISH_WORDS = ("river", "the", "of", "stone", "quietly", "Mr. Hale", "e.g.", "3.14", "(again)", "well-known", "a")
HAN = "山水天地人来去大小上下左右风雨日月明暗"


@st.composite
def english(draw):
    """Return a paragraph of sentences."""
    count = draw(st.integers(1, 6))
    made = []
    for _ in range(count):
        words = draw(st.lists(st.sampled_from(ENGLISH_WORDS), min_size=3, max_size=25))
        made.append(" ".join(["Then", *words, "ended"]) + draw(st.sampled_from(".!?")))
    return " ".join(made)


@st.composite
def chinese(draw):
    """Return a paragraph of sentences, some with words in letters."""
    clause = st.lists(st.one_of(st.sampled_from(HAN), st.sampled_from([" Linux ", "1998", "“风”"])), min_size=4)
    made = []
    for _ in range(draw(st.integers(1, 6))):
        clauses = draw(st.lists(clause.map("".join), min_size=1, max_size=3))
        made.append("天" + "，".join(clauses) + "水" + draw(st.sampled_from("。！？")))
    return " ".join("".join(made).split())


def keys(text):
    """Return the letters of each sentence, in order: what its key is made from."""
    found = ("".join(filter(str.isalnum, part)) for part in sentences(text))
    return [part for part in found if part]


PREFIXES = st.sampled_from(["", "       ", "> ", "> > "])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(english(), chinese()), min_size=1, max_size=3), st.integers(24, 120), PREFIXES)
def test_wrapping_changes_no_sentence(paragraphs, columns, prefix):
    lines = [line for text in paragraphs for line in [*wrapped(text, columns).split("\n"), ""]]
    assert keys("\n".join((prefix + line).rstrip() for line in lines)) == keys("\n\n".join(paragraphs))


def lost(text):
    """Return the sentences that may be taken out."""
    found = split_sentences([text])
    return [text[start:end] for start, end in zip(found.starts[found.whole], found.stops[found.whole])]


VERSE = [
    "小舟随浪去，孤雁向南飞。\n明月照归客，清霜上旧衣。\n门前花又落，灯下梦犹稀。\n莫问何时返，春来燕子归。",
    "秋夜\n\n风起江楼晚，何人倚玉箫？\n云深不见路，灯暗又闻潮。",
    "一叶落，又是秋来时候。望断江南，几点寒鸦，数声残漏。\n曾记否？旧时月色，照我窗前，柳边携手。",
    "草绿前村雨，花红后院风。渔歌来远浦，牧笛过溪东。",
    "The lamp burned low upon the sill,\nAnd all the house was dark and still.\nI heard the river, slow and wide,\n"
    "Go murmuring to the other side.\nNo other voice was in the night,\nNo other window showed a light.",
]
FIXED = [
    "apple\n    A round fruit that grows on trees and is eaten raw. It keeps through the whole of the winter.\n"
    "pear\n    A softer fruit of nearly the same kind. It has to be eaten soon after it was picked.\n",
    "-a, --all\n       Show every entry, also those whose names begin with a dot. Nothing is left out at all.\n\n"
    "       This is the default when the program runs as root. See the notes for more about that.\n",
    "-height\n为这个部件指定想要的高度，以屏幕单位计算。这个值不能小于零。\n\n-width\n为这个部件指定想要的宽度，以屏幕单位计算。这个值不能小于零。\n",
    "The steps are these:\n\n- First the lid is taken off and put aside. Then the screws come out one by one.\n"
    "- After that the glass is lifted out with both hands. It must not be laid on its face.\n",
    "1. 先把盖子取下来放在一边，然后把螺丝一个一个拧出来。玻璃要用双手取出。\n"
    "2. 再把旧的灯管取下来，装上新的灯管，最后把玻璃放回原处。盖好盖子。\n",
    "Run it so::\n\n    # This line says what the next command is going to do. It is only a remark.\n    make all\n",
    "```\nprint('The whole of this line is a sentence in a program. It must not be taken out.')\n```\n",
    "| name | what it does when it is called from a script. It returns nothing. |\n| --- | --- |\n",
]


@pytest.mark.parametrize("text", VERSE + FIXED)
def test_what_is_no_running_text_loses_nothing(text):
    assert lost(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained all day. The whole\ntown stayed at home. Then it\nwas over at last.", 3),
        ("A Title\n\nIt rained all day in the town. Then it was over at last.", 2),
        ("NAME\n       One sentence stands here. Another one stands here, too.", 0),
        ("It can\n\nbe so. Then it is.", 1),  # double-spaced: "be so." begins in the middle
        ("她问：“真的吗？”他点点头。", 1),
        ("The values are as follows.\nred\ngreen\nThat is all there is. It ends.", 1),
        ("One ends here. two begins small. Three is fine.", 2),
    ],
)
def test_which_sentences_may_go(text, expected):
    assert len(lost(text)) == expected


HOSTILE = [
    " ",
    "\n",
    ">",
    "> \n",
    "。",
    ".",
    "“",
    "-\n",
    "1.\n",
    "```\n",
    "a\n",
    "甲，\n",
    "A b.\n",
    " \n\t",
    "…”",
    "x. \n  ",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear(unit):
    def seconds(size):
        text = unit * (size // len(unit))
        best = []
        for _ in range(2):
            start = time.process_time()
            split_sentences([text])
            best.append(time.process_time() - start)
        return min(best)

    once = seconds(100_000)
    assert once <= 1
    assert seconds(200_000) <= max(2.5 * once, 0.4)  # below that, other work of the machine is measured
