from collections import Counter

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sample import plan_sample, sample_lines, share_out
from baichuan_jax.tokenizer.word_lists import frequencies, word_lines

LINES = {
    "small": ("zh", "中" * 33, 100),
    "big": ("zh", "国" * 33, 1000),
    "tiny": ("en", "a" * 99, 50),
    "en": ("en", "b" * 99, 2000),
}


def read(name):
    language, line, number = LINES[name]
    return lambda: iter([{"text": f"{line}\n\n{line}", "language": language}] * (number // 2))


DOCUMENTS = {name: read(name) for name in LINES}
SIZES = {name: 99 * number for name, (_, _, number) in LINES.items()}  # about: of the lines alone


def sample(**settings) -> dict[str, int]:
    """Return the bytes of each domain in the sample."""
    plan = plan_sample(TokenizerConfig(**settings), DOCUMENTS)
    size = Counter()
    for line in sample_lines(plan, DOCUMENTS):
        [name] = [name for name, (_, text, _) in LINES.items() if text == line] or ["words"]
        size[name] += len(line.encode())
    return dict(size)


def test_everything_by_default():
    assert sample() == SIZES


def test_domains_share_equally_and_small_ones_give_all():
    size = sample(sample_bytes=100_000)
    assert size["small"] == SIZES["small"]
    assert size["tiny"] == SIZES["tiny"]
    assert size["big"] == pytest.approx(size["en"], rel=0.01)
    assert sum(size.values()) == pytest.approx(100_000, rel=0.05)


def test_weights_of_domains():
    size = sample(sample_bytes=100_000, weights={"en": 3.0, "tiny": 0.0})
    assert "tiny" not in size
    assert size["en"] == pytest.approx(3 * size["big"], rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_the_dial_of_languages(share):
    size = sample(zh_share=share)
    zh = size.get("small", 0) + size.get("big", 0)
    total = sum(size.values())
    assert zh / total == pytest.approx(share, abs=0.01)
    exhausted = [zh == SIZES["small"] + SIZES["big"], total - zh == SIZES["tiny"] + SIZES["en"]]
    assert any(exhausted), "as much as both languages allow"
    assert sum(sample(zh_share=share, sample_bytes=50_000).values()) == pytest.approx(50_000, rel=0.02)


def test_words_take_their_share_and_follow_the_languages():
    plan = plan_sample(TokenizerConfig(words=0.5, zh_share=0.25), DOCUMENTS)
    assert sum(plan.words.values()) == pytest.approx(sum(plan.targets.values()))
    assert plan.words["en"] == pytest.approx(3 * plan.words["zh"])
    assert plan.zh_share == pytest.approx(0.25)
    assert plan.record()["zh_share"] == plan.zh_share
    assert sample(words=0.5)["words"] == pytest.approx(sum(SIZES.values()), rel=0.2)  # rare words do not occur


def test_share_out():
    shared = share_out({("a", True): 10, ("b", True): 100, ("c", True): 100}, {(n, True): 1 for n in "abc"}, 90)
    assert list(shared.values()) == [10, 40, 40]
    assert sum(share_out({("a", True): 10}, {("a", True): 1}, 90).values()) == 10
    assert share_out({("a", True): 10}, {("a", True): 0}, 90) == {("a", True): 0}


def test_long_lines_are_cut():
    documents = {"one": lambda: [{"text": "x" * 9000, "language": "en"}]}
    lines = list(sample_lines(plan_sample(TokenizerConfig(), documents), documents))
    assert [len(line) for line in lines] == [4000, 4000, 1000]


def test_nothing_left():
    with pytest.raises(UserError, match=r"zh_share = 1.0.*0 bytes of Chinese"):
        plan_sample(TokenizerConfig(zh_share=1.0), {"en": DOCUMENTS["en"]})


def test_word_lines_have_the_frequencies_of_the_language():
    words = " ".join(word_lines("en", 300_000)).split()
    assert sum(len(word) + 1 for word in words) == pytest.approx(300_000, rel=0.2)
    the = sum(word.lower() == "the" for word in words)
    assert the / len(words) == pytest.approx(frequencies("en")["the"], rel=0.3)
    assert words.count("The") == the // 8
    assert max(map(len, word_lines("zh", 100_000))) < 10


def test_word_lists_that_are_absent(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[demo\]'"):
        frequencies("en")
