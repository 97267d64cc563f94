"""Examples of equal length, of documents that serve for one part only, in whatever order they come."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.shingles import tokens
from baichuan_jax.data.quality.examples import FOLDS, PARTS, SHORTEST, STRETCH, WINDOW, Examples, Windows, pairs

GOOD, BAD = 0x4E00, 0x20000
LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=30)


def documents(lengths, first):
    """Texts of ideographs that stand once only, from code `first` on."""
    starts = np.cumsum([first, *lengths]).tolist()
    return [" ".join(map(chr, range(start, start + length))) for start, length in zip(starts, lengths)]


def owners(texts):
    """Token hash -> number of its text."""
    hashes, counts = tokens(texts)
    return dict(zip(hashes.tolist(), np.repeat(np.arange(len(texts)), counts).tolist()))


@settings(deadline=None, max_examples=50)
@given(LENGTHS, LENGTHS, st.sampled_from([3, 20, 1000]))
def test_pairs(good_lengths, bad_lengths, most):
    good, bad = documents(good_lengths, GOOD), documents(bad_lengths, BAD)
    classes = [Examples(texts, most) for texts in (good, bad)]
    owner, seen, taken = owners(good + bad), {}, Counter()
    for part in PARTS:
        windows = pairs(*classes, part)
        number = len(windows.counts) // 2
        assert windows.good.tolist() == [True] * number + [False] * number
        assert (windows.counts[:number] == windows.counts[number:]).all()
        assert ((windows.counts >= SHORTEST) & (windows.counts <= WINDOW)).all()
        start = 0
        for count, is_good in zip(windows.counts, windows.good):
            texts = {owner[token] for token in windows.hashes[start : start + count].tolist()}
            assert len(texts) == 1  # a window is of one text, of its class, that serves for one part only
            assert (min(texts) < len(good)) == is_good
            assert seen.setdefault(min(texts), part) == part
            taken[bool(is_good)] += 1
            start += count
        assert len(set(windows.hashes.tolist())) == len(windows.hashes)  # no window twice
    assert max(taken.values(), default=0) <= most


@settings(deadline=None, max_examples=25)
@given(LENGTHS, st.randoms())
def test_order_and_copies_do_not_matter(lengths, rng):
    texts = documents(lengths, GOOD)
    bad = Examples(documents([300] * 30, BAD), 100)
    shuffled = rng.sample(texts, len(texts)) + [text.replace(" ", "\n") for text in texts[:3]]
    first, second = (pairs(Examples(some, 100), bad, "train") for some in (texts, shuffled))
    for name in ("hashes", "counts", "good"):
        assert (getattr(first, name) == getattr(second, name)).all()


def test_few_long_texts_give_many_windows_and_many_texts_one():
    good, bad = documents([3 * WINDOW] * 50, GOOD), documents([3 * WINDOW] * 50, BAD)
    for most, windows in ((50, 50), (100, 100), (10**6, 150)):
        classes = [Examples(texts, most) for texts in (good, bad)]
        assert [sum(len(examples.windows(part)[0]) for part in PARTS) for examples in classes] == [windows, windows]
        owner = owners(good)
        for part in PARTS:
            firsts, counts = classes[0].windows(part)
            times = Counter(owner[token] for token in classes[0].tokens(firsts, np.ones_like(counts)).tolist())
            assert set(times.values()) <= {windows // 50}


def test_a_long_text_is_read_in_part():
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 10 * STRETCH)))]
    examples = Examples(texts, 1)
    part = next(name for name, folds in PARTS.items() if examples.folds[0] in folds)
    firsts, counts = examples.windows(part)
    assert counts.tolist() == [WINDOW]
    start = tokens(texts)[0].tolist().index(examples.tokens(firsts, counts)[0])
    assert tokens(texts)[0][start : start + WINDOW].tolist() == examples.tokens(firsts, counts).tolist()
    assert sorted(fold for folds in PARTS.values() for fold in folds) == list(range(FOLDS))


def test_prefixes_halve():
    windows = Windows(np.arange(25, dtype=np.uint64), np.array([17, 8]), np.array([True, False]))
    cut = windows.prefixes()
    assert cut.counts.tolist() == [17, 8, 8, 4, 4]
    assert cut.good.tolist() == [True, False, True, False, True]
    assert cut.hashes[25:33].tolist() == list(range(8))
