"""The share of a text that repeats."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.rules import repetition
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.repetition import repeated_share
from baichuan_jax.data.sources.demo import read_demo


def plain_share(text: str, width: int) -> float:
    text = " ".join(text.split())
    while 2 * width > len(text) and width > 1:
        width //= 2
    seen, covered = set(), np.zeros(len(text), bool)
    for start in range(len(text) - width + 1):
        run = text[start : start + width]
        covered[start : start + width] |= run in seen
        seen.add(run)
    return float(covered.mean())


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab 中", min_size=2, max_size=120).filter(lambda text: len(" ".join(text.split())) > 1),
    st.sampled_from([4, 16]),
)
def test_share(text, width):
    assert repetition._share(text, width) == pytest.approx(plain_share(text, width))


@pytest.mark.parametrize(("phrase", "language"), [("物流速度太慢了，", "zh"), ("this is the best of all, ", "en")])
@pytest.mark.parametrize("times", [2, 5, 50, 5000])
def test_phrases(phrase, language, times):
    assert repeated_share(phrase * times, language) == pytest.approx(1 - 1 / times, abs=0.03)


@pytest.mark.parametrize(("corpus", "language", "most"), [("zh_news", "zh", 0.4), ("en_speeches", "en", 0.3)])
def test_real_text_repeats_little(corpus, language, most):
    texts = [normalize(document.text) for document in islice(read_demo(corpus, "skip"), 300)]
    assert max(repeated_share(text, language) for text in texts) < most


def test_what_is_not_suspicious_repeats_little():
    """The few places that are looked at first miss hardly any text that the rule would remove."""
    texts = [normalize(document.text) for document in islice(read_demo("zh_reviews", "skip"), 4000)]
    shares = [repetition._share(text, 16) if len(text) > 1 else 0.0 for text in texts]
    missed = [text for text, share in zip(texts, shares) if share > 0.65 and repeated_share(text, "zh") != share]
    assert sum(share > 0.65 for share in shares) >= 5
    assert missed == []


def test_spaces_are_no_repetition():
    drawing = "\n".join(" " * width + "│ 单元" + str(width * 7919) for width in range(30, 60))
    assert repeated_share(drawing, "zh") < 0.3
