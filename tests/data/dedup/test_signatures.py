"""Signatures estimate how alike texts are, and depend on nothing but the text."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup import shingles as module
from baichuan_jax.data.dedup.shingles import BATCH, TOKENS, shingles, tokens
from baichuan_jax.data.dedup.signatures import PERMUTATIONS, signatures

ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高，下次还会来。"
EN = "It is with great satisfaction that I report to you on the state of the Union."
TEXTS = st.lists(st.one_of(st.text(max_size=40), st.text("ab 中文，", max_size=40)), max_size=8)


def shingle_set(tokens):
    """Return the definition, one token list at a time."""
    return {tuple(tokens[start : start + TOKENS]) for start in range(max(len(tokens) - TOKENS + 1, 1))}


def jaccard(first, second):
    return len(first & second) / len(first | second)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("你好，世界", "你 好 世 界"),
        ("The cat's  hat", "the cat s hat"),
        ("用vista系统，装了 Office2003。", "用 vista 系 统 装 了 office2003"),
        ("x² + ½ 😀 ハロー", "x² ½ ハ ロ ー"),
        ("for i in range(10):\n\tfoo_bar[i] += 1", "for i in range 10 foo bar i 1"),
        ("हिन्दी में, किताब", "हिन्दी में किताब"),
        ("كِتَابٌ جديد", "كِتَابٌ جديد"),
        ("می‌خواهم بروم", "می‌خواهم بروم"),
        ("ภาษาไทย", "ภ า ษ า ไ ท ย"),
        ("ខ្មែរ", "ខ្ មែ រ"),
        ("字\ufe00形", "字 形"),
    ],
)
def test_what_a_shingle_is(text, tokens):
    hashes, numbers = shingles([text, tokens, "padding to look past the end"])
    assert hashes[: numbers[0]].tolist() == hashes[numbers[0] :][: numbers[1]].tolist()
    assert len(set(hashes[: numbers[0]].tolist())) == len(shingle_set(tokens.split()))


def test_order_of_characters_and_tokens_counts():
    texts = ["ab", "ba", "a b", "b a", "a", "a a", "aa", "中文", "文中", "a b c d e f", "b c d e f"]
    hashes, numbers = shingles(texts)
    assert numbers.tolist() == [1] * 9 + [2, 1]
    assert hashes[10] == hashes[11]
    assert len(set(hashes.tolist())) == 11


@pytest.mark.parametrize("pair", ["की का", "ไม่ ไม้", "كَتب كُتب", "កា កី", "ẹa ea"])
def test_marks_on_letters_count(pair):
    hashes, numbers = shingles(pair.split())
    assert numbers.tolist() == [1, 1]
    assert hashes[0] != hashes[1]


def test_the_width_is_the_number_of_tokens():
    hashes, numbers = shingles(["一 二 三 四", "三四", "二", ""], 2)
    assert numbers.tolist() == [3, 1, 1, 0]
    assert hashes[2] == hashes[3]
    assert len(set(hashes.tolist())) == 4
    assert (signatures(["一二三"], 16, 2) == signatures(["一二", "二三"], 16, 2).min(axis=0)).all()


def test_texts_without_letters():
    rows = signatures(["", "。。。", "a", "!?\n"])
    assert (rows[[0, 1, 3]] == 2**32 - 1).all()
    assert (rows[2] < 2**32 - 1).all()
    assert signatures([]).shape == (0, PERMUTATIONS)
    assert signatures([""]).shape == (1, PERMUTATIONS)


@settings(max_examples=100)
@given(TEXTS, st.randoms())
def test_a_signature_depends_on_its_text_alone(texts, rng):
    rows = signatures(texts)
    order = rng.sample(range(len(texts)), len(texts))
    assert (signatures([texts[index] for index in order]) == rows[order]).all()
    for text, row in zip(texts, rows):
        assert (signatures([text])[0] == row).all()
        assert (signatures([f"，{text} \n"])[0] == row).all()
        half = PERMUTATIONS // 2  # where the permutations upside down begin
        assert (signatures([text], 15)[0] == np.append(row[:8], row[half : half + 7])).all()


def test_batches_do_not_show(monkeypatch):
    texts = [ZH * 40, "", EN, "a", ZH + EN, "，" * 500] * 5
    whole = signatures(texts)
    sizes = []

    def counted(batch):
        sizes.append(sum(len(text) + 1 for text in batch))
        return tokens(batch)

    monkeypatch.setattr(module, "tokens", counted)
    monkeypatch.setattr(module, "BATCH", 2000)
    assert (signatures(texts) == whole).all()
    assert len(sizes) > 2
    assert max(sizes) < 4000


def test_a_long_text_is_cut_with_little_harm():
    rng = random.Random(0)
    text = "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(3 * BATCH))
    rows = signatures([text, "前言" + text, "短文", text + "后记", text])
    assert np.mean(rows[0] == rows[1]) > 0.95
    assert np.mean(rows[0] == rows[3]) > 0.95
    assert (rows[0] == rows[4]).all()
    assert (rows[2] == signatures(["短文"])[0]).all()


@settings(max_examples=60, derandomize=True)  # four standard errors are exceeded now and then
@given(st.integers(2, 300), st.floats(0, 1), st.sampled_from(["zh", "en"]), st.integers(0, 2**32))
def test_the_estimate_is_within_four_standard_errors(length, changed, script, seed):
    rng = random.Random(seed)
    word = (lambda: chr(rng.randrange(0x4E00, 0x9FA5))) if script == "zh" else (lambda: f"w{rng.randrange(2000)}")
    first = [word() for _ in range(length)]
    cut = int(length * changed)
    second = [word() for _ in range(cut)] + first[cut:]
    true = jaccard(shingle_set(first), shingle_set(second))
    rows = signatures([" ".join(first), " ".join(second)], 448)
    # One permutation in 448 more: the distribution is not normal where hardly any, or nearly all, agree.
    assert abs(np.mean(rows[0] == rows[1]) - true) <= 4 * (true * (1 - true) / 448) ** 0.5 + 1 / 448


def test_the_estimate_has_no_bias_and_the_stated_error():
    rng = random.Random(0)
    texts = []
    for _ in range(400):
        words = [f"w{rng.randrange(10**6)}" for _ in range(60)]
        texts += [" ".join(words), " ".join([*words[:52], *(f"v{word}" for word in words[52:])])]
    rows = signatures(texts)
    agreement = np.mean(rows[::2] == rows[1::2], axis=1)
    true = 48 / 64
    error = (true * (1 - true) / PERMUTATIONS) ** 0.5
    assert abs(agreement.mean() - true) < 4 * error / 400**0.5
    assert 0.85 < agreement.std() / error < 1.15


def test_signatures_are_stored_and_must_not_change():
    rows = signatures([ZH, EN])
    assert rows[:, :3].tolist() == [[28652496, 878225921, 14031254], [218660324, 106730096, 743577723]]
    assert np.bitwise_xor.reduce(rows, axis=1).tolist() == [516131225, 1881497409]
