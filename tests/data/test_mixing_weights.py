"""Weights by size, DoReMi against its equations and a mixture with a known answer, and the log-linear model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.data import mixing_weights
from baichuan_jax.data.mixing_weights import (
    DoReMi,
    LogLinearLosses,
    excess_losses,
    largest_shares,
    weights_by_size,
)

VOCAB = 8
CONTEXTS = {"noise": 1, "trivial": 1, "learnable": 300}


def test_weights_by_size():
    tokens = {"a": 900, "b": 100}
    assert weights_by_size(tokens, 1.0) == {"a": 0.9, "b": 0.1}
    assert weights_by_size(tokens, 0.0) == {"a": 0.5, "b": 0.5}
    assert weights_by_size(tokens, 0.5) == {"a": 0.75, "b": 0.25}


def test_doremi_by_hand():
    """Two domains, two updates; a token that is better than the reference counts as 0, not below."""
    nll = np.array([[2.0, 1.0], [3.0, 3.0], [1.0, 2.0]])
    reference = np.array([[1.0, 1.5], [2.0, 1.0], [1.0, 1.0]])
    excess = excess_losses(nll, reference, np.array([0, 1, 0]), 2)
    np.testing.assert_allclose(excess, [(1 + 0 + 0 + 1) / 4, (1 + 2) / 2])
    doremi = DoReMi(2)
    first = doremi.update(excess)
    share = np.exp(1.5) / (np.exp(0.5) + np.exp(1.5))
    np.testing.assert_allclose(first, [0.999 * (1 - share) + 0.0005, 0.999 * share + 0.0005], rtol=1e-12)
    second = doremi.update(np.array([0.7, 0.0]))
    raised = first * np.exp([0.7, 0.0])
    np.testing.assert_allclose(second, 0.999 * raised / raised.sum() + 0.0005, rtol=1e-12)
    np.testing.assert_allclose(doremi.average, (first + second) / 2, rtol=1e-12)


@given(st.lists(st.lists(st.floats(0, 1e3), min_size=4, max_size=4), min_size=1, max_size=20))
def test_weights_stay_a_distribution_that_leaves_nobody_out(updates):
    doremi = DoReMi(4)
    for excess in updates:
        weights = doremi.update(np.array(excess))
        assert weights.sum() == pytest.approx(1.0)
        assert weights.min() >= 1e-3 / 4 * (1 - 1e-9)


class Tables:
    """A model of three domains: a table of logits for every context of each, trained by gradient descent."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.logits = [np.zeros((size, VOCAB)) for size in CONTEXTS.values()]
        answers = np.random.default_rng(1000).integers(0, VOCAB, 300)
        self.answers = {"trivial": answers[:1], "learnable": answers}

    def draw(self, tokens=64):
        """Return (contexts, targets), each [domains, tokens]."""
        contexts = [self.rng.integers(0, size, tokens) for size in CONTEXTS.values()]
        targets = [
            self.rng.integers(0, VOCAB, tokens) if name == "noise" else self.answers[name][context]
            for name, context in zip(CONTEXTS, contexts)
        ]
        return np.array(contexts), np.array(targets)

    def probabilities(self, contexts):
        logits = np.array([table[context] for table, context in zip(self.logits, contexts)])
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return raised / raised.sum(axis=-1, keepdims=True)

    def nll(self, contexts, targets):
        return -np.log(np.take_along_axis(self.probabilities(contexts), targets[..., None], -1)[..., 0])

    def learn(self, contexts, targets, weights, rate=10.0):
        gradients = (self.probabilities(contexts) - np.eye(VOCAB)[targets]) / contexts.shape[1]
        for table, context, gradient, weight in zip(self.logits, contexts, gradients, weights):
            np.add.at(table, context, -rate * weight * gradient)


def learned_weights(seed, steps=200):
    """Return the averaged weights of DoReMi: a reference on uniform weights, then a proxy."""
    reference, proxy, doremi = Tables(seed), Tables(seed + 100), DoReMi(3)
    for _ in range(steps):
        reference.learn(*reference.draw(), np.full(3, 1 / 3))
    for _ in range(steps):
        drawn = proxy.draw()
        excess = excess_losses(proxy.nll(*drawn), reference.nll(*drawn), np.arange(3), 3)
        proxy.learn(*drawn, doremi.update(excess))
    return dict(zip(CONTEXTS, doremi.average))


def test_doremi_finds_the_domain_that_can_be_learned():
    assert min(learned_weights(seed)["learnable"] for seed in range(5)) >= 0.6


def test_without_clipping_it_does_not(monkeypatch):
    keep = np.maximum
    monkeypatch.setattr(mixing_weights.np, "maximum", lambda a, b: a if np.shape(a) == (3, 64) else keep(a, b))
    assert max(learned_weights(seed)["learnable"] for seed in range(5)) < 0.6


@pytest.mark.parametrize("floor", [0.0, 0.6])
def test_a_log_linear_law_is_found_and_minimised(floor):
    rng = np.random.default_rng(0)
    law = np.array([[0.2, 0.9], [0.8, 0.1], [0.6, 0.7]])
    mixes = rng.dirichlet(np.ones(3), 12)
    losses = floor + np.exp(mixes @ law)
    model = LogLinearLosses(mixes, losses)
    np.testing.assert_allclose(model.predict(mixes), losses, rtol=1e-10 if floor == 0 else 1e-4)
    best = model.best_mix(np.ones(3))
    grid = np.array([[a, b, 1 - a - b] for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1, 101) if a + b <= 1])
    assert model.predict(best).mean() <= model.predict(grid).mean(axis=1).min() + 1e-9
    capped = model.best_mix(np.array([0.3, 0.9, 0.9]))
    assert capped[0] <= 0.3 + 1e-9
    allowed = grid[grid[:, 0] <= 0.3]
    assert model.predict(capped).mean() <= model.predict(allowed).mean(axis=1).min() + 1e-9


def test_largest_shares():
    np.testing.assert_allclose(largest_shares(np.array([100.0, 1000.0]), 1000.0, 4.0), [0.4, 1.0])
