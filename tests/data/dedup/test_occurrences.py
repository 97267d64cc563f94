"""Sentences have the keys of their tokens, wherever they stand; near-duplicates among them are found."""

import random
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup import shingles
from baichuan_jax.data.dedup.jaccard import ExactJaccard
from baichuan_jax.data.dedup.near_duplicates import find_duplicates
from baichuan_jax.data.dedup.occurrences import BANDS, MIN_TOKENS, PERMUTATIONS, WIDTH, occurrences
from baichuan_jax.data.dedup.signatures import signatures
from baichuan_jax.data.rules.sentences import sentences, split_sentences
from baichuan_jax.data.sources.demo import read_demo

ZH = "入住后发觉设施较新，相比同等价格酒店而言，性价比高。"
EN = "It is with great satisfaction that I report to you. "
TEXTS = st.lists(st.text("甲乙丙丁 ab，。\n", max_size=60), max_size=6)


def keys(texts, languages):
    return occurrences(split_sentences(texts), languages).sentences


def texts_of(texts, found):
    return [texts[d][start : start + size] for _, d, start, size, _ in found.tolist()]


def test_where_they_stand():
    texts = [f"谢谢。{ZH}谢谢。\n{ZH}", "", f"Thank you. {EN}{EN.upper()}", ZH + EN]
    found = keys(texts, ["zh", "zh", "en", "code"])
    assert found["document"].tolist() == [0, 0, 2, 2]
    assert texts_of(texts, found) == [ZH, ZH, EN, EN.upper()]
    assert found["key"][0] == found["key"][1] != found["key"][2] == found["key"][3]
    assert len(keys([], [])) == 0


@settings(max_examples=200)
@given(TEXTS, st.randoms())
def test_keys_are_equal_where_the_tokens_are(texts, rng):
    languages = [rng.choice(["zh", "en", "other"]) for _ in texts]
    with_tokens = []
    for number, (text, language) in enumerate(zip(texts, languages)):
        start = 0
        for sentence in sentences(text):
            spread = "".join(f" {c} " if c in "甲乙丙丁" else " " if c in "，。\n" else c for c in sentence)
            if len(tokens := tuple(spread.split())) >= MIN_TOKENS[language]:
                with_tokens.append((number, start, tokens, len(sentence)))
            start += len(sentence)
    found = keys(texts, languages)
    assert found[["document", "start", "characters"]].tolist() == [row[:2] + row[3:] for row in with_tokens]
    known = {tokens: key for (_, _, tokens, _), key in zip(with_tokens, found["key"].tolist())}
    assert [known[tokens] for _, _, tokens, _ in with_tokens] == found["key"].tolist()
    assert len(set(known.values())) == len(known)


def test_signatures_are_those_of_the_sentences_alone():
    texts = [f"谢谢。{ZH}谢谢。\n{ZH}end", EN * 3 + ZH]
    found, signed, _ = occurrences(split_sentences(texts), ["zh", "en"])
    assert (signed == signatures(texts_of(texts, found), PERMUTATIONS, WIDTH)).all()


def test_batches_do_not_show(monkeypatch):
    texts, languages = [ZH * 30, EN * 40, "", ZH + "\n" + EN] * 20, ["zh", "en", "zh", "zh"] * 20
    whole = keys(texts, languages)
    monkeypatch.setattr(shingles, "BATCH", 500)
    assert (keys(texts, languages) == whole).all()


def test_a_sentence_longer_than_a_batch():
    text = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FA5, 2 * shingles.BATCH)))
    found = keys([text, text, text[1:], text[:-1]], ["zh"] * 4)
    assert found["characters"].tolist() == [len(text)] * 2 + [len(text) - 1] * 2
    assert found["key"][0] == found["key"][1]
    assert len(set(found["key"].tolist())) == 3


def edited(sentence, rng):
    characters = list(sentence)
    for _ in range(rng.randrange(1 + len(sentence) // 20)):
        characters[rng.randrange(len(characters))] = rng.choice("的一是在不了")
    return "".join(characters)


def test_edited_copies_of_real_sentences():
    reviews = [review.text for review in islice(read_demo("zh_reviews", "skip"), 6000)]
    found = split_sentences(reviews)
    places = zip(found.texts, found.starts - found.first[found.texts], found.stops - found.first[found.texts])
    found_sentences = (reviews[text][start:end] for text, start, end in places)
    originals = list(dict.fromkeys(sentence for sentence in found_sentences if len(sentence) >= 15))[:4000]
    rng, half = random.Random(0), len(originals)
    texts = originals + [edited(sentence, rng) for sentence in originals]
    rank = np.array(rng.sample(range(2 * half), 2 * half))
    lengths = np.array([len(text) for text in texts])
    exact = ExactJaccard(lambda indices: [texts[index] for index in indices], lengths, WIDTH)
    with tempfile.TemporaryDirectory() as scratch:
        stays = find_duplicates(signatures(texts, PERMUTATIONS, WIDTH), rank, exact, 0.8, BANDS, 1 << 24, Path(scratch))
    gone = np.flatnonzero(stays != np.arange(2 * half))
    near = np.flatnonzero(exact(np.arange(half), np.arange(half, 2 * half)) >= 0.85)
    both = np.isin(near, gone, invert=True) & np.isin(near + half, gone, invert=True)
    assert len(near) > 2000
    assert both.sum() <= 0.01 * len(near)
    assert (exact(gone, stays[gone]) >= 0.8).all()
