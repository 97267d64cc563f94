"""The learner finds what tells good from bad, and nothing where there is nothing."""

import random

import numpy as np

from baichuan_jax.data.dedup.shingles import tokens
from baichuan_jax.data.quality.calibrate import auc
from baichuan_jax.data.quality.examples import Windows
from baichuan_jax.data.quality.features import ngrams, slots, sums
from baichuan_jax.data.quality.learn import _gradient, learn_weights, sigmoid


def windows(texts):
    hashes, counts = tokens(texts)
    return Windows(hashes, counts, np.arange(len(texts)) < len(texts) // 2)


def sentences(number, rng, words):
    return [" ".join(rng.choice(words) for _ in range(rng.randrange(10, 60))) for _ in range(number)]


def mean_weights(weights, held_out):
    found = slots(held_out.hashes, held_out.counts, 12)
    return sums(weights, found, held_out.counts) / ngrams(held_out.counts)


def test_words_and_their_order_are_learnt():
    rng = random.Random(0)
    common = [f"w{number}" for number in range(30)]
    good, bad = (sentences(1200, rng, common + words) for words in (["fine", "good", "nice"], ["poor", "bad", "ugly"]))
    weights = learn_weights(windows(good[:1000] + bad[:1000]), 12)
    assert auc(mean_weights(weights, windows(good[1000:] + bad[1000:])), np.arange(400) < 200) > 0.95
    good = ["one two three " * rng.randrange(3, 20) for _ in range(300)]
    bad = ["three two one " * rng.randrange(3, 20) for _ in range(300)]
    weights = learn_weights(windows(good[:200] + bad[:200]), 12)
    assert auc(mean_weights(weights, windows(good[200:] + bad[200:])), np.arange(200) < 100) == 1


def test_nothing_is_learnt_where_there_is_nothing():
    rng = random.Random(0)
    texts = sentences(1600, rng, [f"w{number}" for number in range(50)])
    weights = learn_weights(windows(texts[:800]), 12)
    assert 0.42 < auc(mean_weights(weights, windows(texts[800:])), np.arange(800) < 400) < 0.58


def test_the_gradient_is_that_of_the_loss():
    some = windows(["a b c", "a b", "c", "b c a d"])
    rng = np.random.default_rng(0)
    weights = np.append(rng.normal(size=1 << 10), 0)
    found = slots(some.hashes, some.counts, 10)

    def loss(weights):
        chance = sigmoid(sums(weights, found, some.counts) / (ngrams(some.counts) + 10))
        return -np.mean(np.log(np.where(some.good, chance, 1 - chance)))

    gradient = _gradient(weights, some, 10)
    for slot in np.unique(found):
        step = np.zeros_like(weights)
        step[slot] = 1e-5
        slope = (loss(weights + step) - loss(weights - step)) / 2e-5
        assert abs(slope - gradient[slot]) < 1e-8 or slot == 1 << 10
    assert np.count_nonzero(gradient) == len(set(found.ravel()) - {1 << 10})
    assert gradient[-1] == 0
