"""Duplicates planted in real text are found, in Chinese and in English, and nothing else goes."""

import pytest

from experiments.benchmarks.planted_duplicates import score_documents, score_sentences

LANGUAGES = [pytest.param("zh", marks=pytest.mark.slow), "en"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_documents(language, tmp_path):
    score, table, same = score_documents(language, (), 900, tmp_path)
    assert score.pairs > 60
    assert score.recall >= 0.97
    assert score.precision >= 0.99
    assert table["exact"][2] == 1.0
    assert table["40% scattered"][2] == 0.0
    assert same


@pytest.mark.parametrize("wrap", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences(language, wrap, tmp_path):
    score, notices = score_sentences(language, (), 600, tmp_path, wrap)
    assert score.pairs > 200
    assert score.recall >= 0.97
    assert score.precision >= 0.99
    assert notices <= (1.4 if wrap else 1.0)  # some wrapped lines are taken for verse or a list
