"""On real text: the model tells good from bad, is calibrated, and does not see lengths."""

import random
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.data.dedup.shingles import BATCH
from baichuan_jax.data.quality.calibrate import auc
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.quality.model import NO_SCORE, QualityModel, fit_quality_models, unscored
from baichuan_jax.data.sources.demo import read_demo

CFG = QualityConfig(good=("good",), features=14, examples=2000)
TEXTS = st.lists(st.text("酒店很好服务大会召开国务院 the of 。", max_size=60), max_size=8)


def shuffled(text, rng):
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


@pytest.fixture(scope="module")
def examples():
    """Chinese: news and reviews. English: speeches, and others with their words shuffled."""
    rng = random.Random(0)
    news, reviews = ([document.text for document in read_demo(name, "skip")] for name in ("zh_news", "zh_reviews"))
    speeches = [
        document.text[start : start + length]
        for document in islice(read_demo("en_speeches", "skip"), 0, None, 2)
        for start, length in ((at * 5000, 300 * 2 ** rng.randrange(4)) for at in range(len(document.text) // 5000))
    ]
    good = {"zh": news, "en": speeches[::2], "other": ["good"] * 500}
    return good, {"zh": reviews[:8000], "en": [shuffled(text, rng) for text in speeches[1::2]]}


@pytest.fixture(scope="module")
def fitted(examples):
    return fit_quality_models(*examples, CFG)


@pytest.fixture(scope="module")
def model(fitted):
    return fitted[0]


def test_report(fitted, examples):
    _, report = fitted
    trained = {language: entry for language, entry in report.items() if "auc" in entry}
    assert set(trained) == {"zh", "en"}
    assert report["other"]["bad"] == 0
    assert unscored(report, ("zh", "other")) == {"other": "no examples of bad text"}
    for language, entry in trained.items():
        assert entry["good"] == min(len(set(examples[0][language])), CFG.examples)
        assert entry["pairs"]["train"] > entry["pairs"]["test"] > entry["pairs"]["calibrate"] > 0
        assert sum(entry["pairs"].values()) <= CFG.examples
        assert sum(tenth["count"] for tenth in entry["calibration"]) == 2 * entry["pairs"]["test"]
        error = sum(tenth["count"] * abs(tenth["mean_score"] - tenth["share_good"]) for tenth in entry["calibration"])
        assert error / (2 * entry["pairs"]["test"]) < 0.05
    assert report["zh"]["auc"] > 0.99
    assert report["zh"]["auc_equal_length"] > 0.97
    assert report["zh"]["auc_of_length"] > 0.9  # which is why lengths are made equal
    assert report["en"]["auc"] > 0.93
    assert 0.3 < report["en"]["auc_of_length"] < 0.7


def test_order_of_the_examples_does_not_matter(model, fitted, examples):
    rng = random.Random(1)
    again, report = fit_quality_models(
        *({name: rng.sample(texts, len(texts)) for name, texts in side.items()} for side in examples), CFG
    )
    assert report == fitted[1]
    for language in ("zh", "en"):
        assert (again.languages[language].weights == model.languages[language].weights).all()


def test_length_is_not_learnt():
    """Good and bad are the same kind of text, but good texts are ten times longer."""
    text = "".join(document.text for document in islice(read_demo("zh_news", "skip"), 2000))
    places = range(0, 550_000, 550)
    good = [text[start : start + 500] for start in places]
    bad = [text[start + 500 : start + 550] for start in places]
    model, report = fit_quality_models({"zh": good}, {"zh": bad}, CFG)
    assert report["zh"]["auc_of_length"] == 1
    new = [text[start : start + length] for length in (50, 500) for start in range(600_000, 1_000_000, 800)]
    scores = model.score(new, ["zh"] * len(new))
    assert 0.4 < auc(scores, np.array([len(text) > 50 for text in new])) < 0.6


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS, rng=st.randoms())
def test_a_score_depends_on_its_text_alone(model, texts, rng):
    languages = [rng.choice(["zh", "en", "code", "other"]) for _ in texts]
    scores = model.score(texts, languages)
    assert scores.dtype == np.float32
    order = rng.sample(range(len(texts)), len(texts))
    assert (model.score([texts[at] for at in order], [languages[at] for at in order]) == scores[order]).all()
    for text, language, score in zip(texts, languages, scores):
        assert model.score([text], [language]) == score
        assert 0 < score < 1 if language in ("zh", "en") else score == NO_SCORE


def test_long_texts_and_many_texts(model, examples):
    news, reviews = examples[0]["zh"], examples[1]["zh"]
    long = "".join(news)[: 3 * BATCH]
    scores = model.score([reviews[0], long, reviews[1], "", long], ["zh"] * 5)
    assert scores[1] == scores[4] > 0.9
    assert scores[3] == 0.5
    assert scores[[0, 2]].tolist() == model.score(reviews[:2], ["zh"] * 2).tolist()
    parts = model.score([long[:BATCH], long[BATCH : 2 * BATCH], long[2 * BATCH :]], ["zh"] * 3)
    assert parts.min() - 0.01 <= scores[1] <= parts.max() + 0.01
    every = model.score(news, ["zh"] * len(news))
    assert every[:50].tolist() == model.score(news[:50], ["zh"] * 50).tolist()


def test_short_texts_are_near_one_half(model, examples):
    """Of the texts that the model is right about, the shorter the beginning, the less it is sure."""
    for texts, sign in ((examples[0]["zh"], 1), (examples[1]["zh"], -1)):
        texts = [text for text in texts if len(text) > 80]
        sure = [
            sign * (model.score([text[:length] for text in texts], ["zh"] * len(texts)) - 0.5).mean()
            for length in (2, 8, 80)
        ]
        assert 0.02 < sure[0] < sure[1] - 0.05 < sure[2] - 0.1


def test_too_few_examples():
    model, report = fit_quality_models({"zh": ["好" * 40, "好书" * 40]}, {"zh": ["坏" * 40, "坏书" * 30]}, CFG)
    assert report == {"zh": {"good": 2, "bad": 2, "pairs": report["zh"]["pairs"]}}
    assert max(report["zh"]["pairs"].values()) <= 2
    assert model.score(["好"], ["zh"]) == NO_SCORE
    model, report = fit_quality_models({"zh": [], "en": ["a b c d e"]}, {"zh": ["坏" * 40]}, CFG)
    assert report == {"en": {"good": 1, "bad": 0}, "zh": {"good": 0, "bad": 1}}
    assert fit_quality_models({}, {"zh": ["坏" * 40]}, CFG)[1] == {}  # nobody asked for a model


def test_saved_and_loaded(model, tmp_path):
    texts, languages = ["国务院召开大会。", "the people of the United States", "x = 1"], ["zh", "en", "code"]
    model.save(tmp_path / "quality.npz")
    model.save(tmp_path / "again.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.npz", "quality.npz"]
    assert (tmp_path / "quality.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    loaded = QualityModel.load(tmp_path / "quality.npz")
    assert loaded.score(texts, languages).tolist() == model.score(texts, languages).tolist()
    QualityModel({}).save(tmp_path / "none.npz")
    assert QualityModel.load(tmp_path / "none.npz").score(texts, languages).tolist() == [NO_SCORE] * 3
