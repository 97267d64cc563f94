"""The quality model: for each language, the probability that a text is a good example and not a bad one.

A linear classifier over hashed n-grams like fastText, which the filters of LLaMA, WanJuan and others use. fastText's
wheels are unmaintained and break on numpy 2; here a table of weights and batched numpy suffice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baichuan_jax.core.files import atomic_path
from baichuan_jax.data.dedup.shingles import Tokens, tokenized
from baichuan_jax.data.language import LANGUAGES, Language
from baichuan_jax.data.quality.calibrate import auc, calibrate, reliability
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.quality.examples import PARTS, Examples, Windows, pairs
from baichuan_jax.data.quality.features import ngrams, slots, sums
from baichuan_jax.data.quality.learn import learn_weights, sigmoid

NO_SCORE = -1.0
FEWEST = 10  # least pairs of windows in each part; with fewer a language gets no model
GRAIN = 1024.0  # weights are multiples of 1 / GRAIN and at most LARGEST: their sums are exact, in any order
LARGEST = 4096.0


@dataclass(frozen=True)
class LinearModel:
    """The model of a language. weights: float32 [2^features + 1], the last 0. prior: in n-grams.

    The log odds of a text are the sum of the weights of its n-grams over (their number + prior).
    """

    weights: np.ndarray
    prior: float

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probability that each text is good, float64 [texts]; 1/2 for one without letters and digits.

        It depends on the text alone. A text of BATCH characters or more is cut, and loses the n-grams at the cuts.
        """
        return self.score_tokens(tokenized(texts), len(texts))

    def score_tokens(self, parts: Iterable[Tokens], texts: int) -> np.ndarray:
        """Return the result of `score` from the tokens of `texts` texts."""
        totals, numbers = np.zeros(texts), np.zeros(texts, np.int64)
        for owners, hashes, counts in parts:
            np.add.at(totals, owners, sums(self.weights, self._slots(hashes, counts), counts))
            np.add.at(numbers, owners, ngrams(counts))
        return sigmoid(totals / (numbers + self.prior))

    def score_windows(self, windows: Windows) -> np.ndarray:
        """Return the probability that each window is good, float64 [windows]."""
        totals = sums(self.weights, self._slots(windows.hashes, windows.counts), windows.counts)
        return sigmoid(totals / (ngrams(windows.counts) + self.prior))

    def _slots(self, hashes: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return slots(hashes, counts, (len(self.weights) - 1).bit_length() - 1)


@dataclass(frozen=True)
class QualityModel:
    """The models of all languages that have one."""

    languages: dict[Language, LinearModel]

    def score(self, texts: Sequence[str], languages: Sequence[str]) -> np.ndarray:
        """Return the probability that each text is good, float32 [texts], in (0, 1); NO_SCORE without a model.

        languages: of each text. A sentence is scored like any other text: the shorter, the nearer to 1/2.
        """
        return self.score_tokens(list(tokenized(texts)), languages)

    def score_tokens(self, parts: Sequence[Tokens], languages: Sequence[str]) -> np.ndarray:
        """Return the result of `score` from the tokens of the texts."""
        result, names = np.full(len(languages), NO_SCORE, np.float32), np.array(languages, np.str_)
        for language, model in self.languages.items():
            mine = names == language
            if mine.any():
                result[mine] = model.score_tokens((_only(part, mine) for part in parts), len(mine))[mine]
        return result

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        arrays = {}
        for language, model in self.languages.items():
            arrays |= {f"{language}.weights": model.weights, f"{language}.prior": np.float64(model.prior)}
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> QualityModel:
        """Return the model that `save` wrote."""
        with np.load(path) as arrays:
            names = [name.removesuffix(".prior") for name in arrays if name.endswith(".prior")]
            models = {name: LinearModel(arrays[f"{name}.weights"], float(arrays[f"{name}.prior"])) for name in names}
        return cls(models)


def _only(part: Tokens, wanted: np.ndarray) -> Tokens:
    """Return the tokens of the wanted texts, bool [texts]."""
    here = wanted[part.owners]
    if here.all():
        return part
    return Tokens(part.owners[here], part.hashes[np.repeat(here, part.counts)], part.counts[here])


def fit_quality_models(
    good: Mapping[Language, Sequence[str]], bad: Mapping[Language, Sequence[str]], cfg: QualityConfig
) -> tuple[QualityModel, dict]:
    """Return the model and a report on it. The order of the texts does not matter.

    good, bad: example texts by language, of which at most cfg.examples are used. A language without both, or with too
    few (about 150 short documents of each, or 30 long ones), gets no model. The classes are balanced: a prior of 1/2.

    If there is any good text, the report has for each language with examples: "good", "bad" (documents); with both,
    "pairs" {part: pairs of windows}; and with a model, on held-out documents: "auc", "auc_of_length" (of the number of
    characters alone), "auc_equal_length" and "calibration" (of pairs of windows of equal length, as in `reliability`),
    and "half": the number of tokens at which the log odds reach half of their limit for an infinitely long text.
    """
    models, report = {}, {}
    for language in LANGUAGES:
        examples = {"good": len(good.get(language, ())), "bad": len(bad.get(language, ()))}
        if good and any(examples.values()) and not all(examples.values()):
            report[language] = examples
        elif all(examples.values()):
            classes = tuple(Examples(texts[language], cfg.examples) for texts in (good, bad))
            parts = {part: pairs(*classes, part) for part in PARTS}
            numbers = {part: len(windows.counts) // 2 for part, windows in parts.items()}
            report[language] = {"good": len(classes[0].texts), "bad": len(classes[1].texts), "pairs": numbers}
            if min(numbers.values()) >= FEWEST:
                models[language] = _fit_language(parts["train"], parts["calibrate"], cfg.features)
                report[language] |= _evaluate(models[language], parts["test"], classes)
    return QualityModel(models), report


def unscored(report: Mapping[str, dict], languages: Iterable[str]) -> dict[str, str]:
    """Return {language: why it has no model} of the languages of a corpus. report: of `fit_quality_models`."""
    found = {}
    for language in languages:
        entry = report.get(language, {})
        missing = [kind for kind in ("good", "bad") if not entry.get(kind)]
        if "auc" not in entry:
            found[language] = f"no examples of {' or '.join(missing)} text" if missing else "too few examples"
    return found


def unscored_of(result: dict) -> dict[str, str]:
    """Return the result of `unscored` for the text that a data step kept. result: of `build_corpus`."""
    languages = {language for domain in result["domains"].values() for language in domain["language"]}
    return unscored(result["quality"], sorted(languages))


def _fit_language(train: Windows, held_out: Windows, features: int) -> LinearModel:
    weights = learn_weights(train, features)
    held_out = held_out.prefixes()
    numbers = ngrams(held_out.counts)
    totals = sums(weights, slots(held_out.hashes, held_out.counts, features), held_out.counts)
    scale, bias, prior = calibrate(totals, numbers, held_out.good)
    weights = np.clip(np.round((scale * weights + bias) * GRAIN) / GRAIN, -LARGEST, LARGEST)
    weights[-1] = 0
    return LinearModel(weights.astype(np.float32), prior)


def _evaluate(model: LinearModel, windows: Windows, classes: tuple[Examples, Examples]) -> dict:
    """Return the part of the report on held-out documents."""
    texts = [[text for text, fold in zip(c.texts, c.folds) if fold in PARTS["test"]] for c in classes]
    good = np.repeat([True, False], [len(part) for part in texts])
    whole = [text for part in texts for text in part]
    scores = model.score_windows(windows)
    return {
        "auc": auc(model.score(whole), good),
        "auc_of_length": auc(np.array([len(text) for text in whole]), good),
        "auc_equal_length": auc(scores, windows.good),
        "calibration": reliability(scores, windows.good),
        "half": model.prior / 3,
    }
