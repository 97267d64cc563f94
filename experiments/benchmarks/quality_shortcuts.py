"""Is the quality model a detector of length, or of language? Experiments on text that is held out.

Command: python -m experiments.benchmarks.quality_shortcuts [--corpora DIR] [--bad NAME ...]   Cost: ten seconds to
minutes.

Good is, in Chinese, the People's Daily, and in English, speeches. Bad is, in Chinese, web reviews, and in both
languages text that is made bad here: passages with their words in random order ("shuffled"), a few words of a passage
again and again ("stuffed"), and lines of navigation and advertisement with words of a passage between ("boilerplate").
No passage is both good and the source of a bad one. DIR may hold more text, NAME.zh.jsonl.gz and NAME.en.jsonl.gz with
{"text"} on each line; it counts as good unless NAME is given after --bad.

A detector of length would have scores that rise with length among good and bad texts alike, and would not separate
texts paired by length. A model that is surer of longer texts has scores that rise among the good and fall among the
bad. A detector of language would put all texts of a language on one side of 1/2.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from baichuan_jax.data.config import Reading
from baichuan_jax.data.dedup.exact import text_hash
from baichuan_jax.data.quality.calibrate import auc, reliability
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.quality.model import QualityModel, fit_quality_models
from baichuan_jax.data.sources.demo import read_demo
from baichuan_jax.data.sources.file_formats import read_file

LANGUAGES = ("zh", "en")
SHORT, LONG = 100, 3000  # characters of a passage
CHARACTERS = {"zh": 1, "en": 6}  # a token and the space after it, roughly
UNIT = {"zh": re.compile(r"\w{1,2}"), "en": re.compile(r"\w+")}  # what is shuffled
LINES = {
    "zh": "首页 > 频道 > 正文|点击这里查看更多内容|登录后发表评论|扫描二维码关注我们|版权所有，未经许可不得转载"
    "|上一篇|下一篇|免费注册会员，立即下载|限时优惠，全场包邮|联系客服|分享到朋友圈|热门推荐|更多>>",
    "en": "Home > Channel > Article|Click here to read more|Sign in to leave a comment|Follow us and subscribe"
    "|All rights reserved. Do not copy|Previous|Next|Register for free and download now|Free shipping, today only"
    "|Contact us|Share this page|You may also like|Terms of use and privacy policy",
}

Domains = dict[str, list[str]]


def shuffled(passage: str, language: str, rng: random.Random) -> str:
    """Its words (of Chinese, pairs of characters) in random order, the punctuation where it was."""
    units = UNIT[language].findall(passage)
    rng.shuffle(units)
    return UNIT[language].sub(lambda _: units.pop(), passage)


def stuffed(passage: str, language: str, rng: random.Random) -> str:
    """Ten of its words, repeated until the text is as long."""
    units = UNIT[language].findall(passage)
    words = rng.sample(units, min(10, len(units)))
    return ", ".join(rng.choice(words) for _ in units)


def boilerplate(passage: str, language: str, rng: random.Random) -> str:
    """Lines that every page has, with ten of its words in a row between them."""
    units = UNIT[language].findall(passage)
    joint = "" if language == "zh" else " "
    parts = [joint.join(units[start : start + 10]) for start in range(0, len(units), 20)]
    return "\n".join(f"{rng.choice(LINES[language].split('|'))}\n{part}" for part in parts)


CORRUPTIONS: tuple[Callable[[str, str, random.Random], str], ...] = (shuffled, stuffed, boilerplate)


def read(language: str, directory: Path | None, bad_names: Sequence[str]) -> tuple[Domains, Domains]:
    """Return the domains of good and of bad text."""
    if language == "zh":
        good, bad = {"news": _demo("zh_news")}, {"reviews": _demo("zh_reviews")}
    else:
        good, bad = {"speeches": _demo("en_speeches")}, {}
    for path in sorted(directory.glob(f"*.{language}.jsonl.gz")) if directory else ():
        name = path.name.split(".")[0]
        texts = [document.text for document in read_file(path, Reading(damaged="stop"))]
        (bad if name in bad_names else good)[name] = texts
    good, bad = ({name: _passages(texts) for name, texts in group.items()} for group in (good, bad))
    made = {corrupt.__name__: [] for corrupt in CORRUPTIONS}
    for name, texts in good.items():
        for passage in texts[1::2]:
            key = text_hash(passage)
            corrupt = CORRUPTIONS[key % len(CORRUPTIONS)]
            made[corrupt.__name__].append(corrupt(passage, language, random.Random(key)))
        good[name] = texts[::2]
    return good, bad | made


def _demo(name: str) -> list[str]:
    return [document.text for document in read_demo(name, "skip")]


def _passages(texts: Sequence[str]) -> list[str]:
    """Return different passages of SHORT to LONG characters of long texts, and the short texts whole."""
    passages = {}
    for text in texts:
        rng, start = random.Random(text_hash(text)), 0
        while start < len(text):
            end = start + int(SHORT * (LONG / SHORT) ** rng.random())
            passages[text[start:end].strip()] = None
            start = end
    return [passage for passage in passages if passage]


def split(domains: Domains) -> tuple[Domains, Domains]:
    """Return the texts that are learnt from, and one in five that is held out."""
    held_out = lambda text: (text_hash(text) >> 32) % 5 == 0
    return (
        {name: [text for text in texts if not held_out(text)] for name, texts in domains.items()},
        {name: [text for text in texts if held_out(text)] for name, texts in domains.items()},
    )


def joined(domains: Domains, without: str = "") -> list[str]:
    """Return the texts of all domains but one."""
    return [text for name, texts in domains.items() if name != without for text in texts]


def matched(lengths: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the texts of as many good and bad ones as can be paired with lengths that differ by 5 % at most."""
    first, second = (np.flatnonzero(mask)[np.argsort(lengths[mask], kind="stable")] for mask in (good, ~good))
    pairs, at = [], 0
    for text in first:
        while at < len(second) and lengths[second[at]] * 1.05 < lengths[text]:
            at += 1
        if at < len(second) and lengths[second[at]] <= lengths[text] * 1.05:
            pairs += [text, second[at]]
            at += 1
    return np.array(pairs, np.int64)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation."""
    ranks = [np.unique(values, return_inverse=True, return_counts=True)[1:] for values in (first, second)]
    return float(np.corrcoef(*((np.cumsum(counts) - (counts - 1) / 2)[index] for index, counts in ranks))[0, 1])


def calibration_error(score: np.ndarray, good: np.ndarray) -> float:
    """Return the mean distance of score and share of good texts, over tenths of the scores."""
    bins = reliability(score, good)
    return sum(b["count"] * abs(b["mean_score"] - b["share_good"]) for b in bins) / len(score)


def row(name: str, *values: float | str) -> None:
    """Print a row of the table."""
    print(f"  {name:52}" + "".join(f"{value:>9}" if isinstance(value, str) else f"{value:9.3f}" for value in values))


def report_length(model: QualityModel, language: str, good: list[str], bad: list[str]) -> None:
    """Print what length explains of the scores."""
    texts, truth = good + bad, np.arange(len(good) + len(bad)) < len(good)
    score, length = model.score(texts, [language] * len(texts)), np.array([len(text) for text in texts])
    row("AUC", auc(score, truth))
    row("AUC of length alone", auc(length, truth))
    pairs = matched(length, truth)
    score_auc, length_auc = (auc(values[pairs], truth[pairs]) for values in (score, length))
    row("AUC, texts paired by length; of length then", score_auc, length_auc)
    quartile = np.searchsorted(np.quantile(length, (0.25, 0.5, 0.75)), length)
    row("AUC in each quarter of the lengths", *(auc(score[quartile == q], truth[quartile == q]) for q in range(4)))
    row(
        "correlation with length, among good; bad",
        *(correlation(score[side], length[side]) for side in (truth, ~truth)),
    )
    first = [text[: len(text) // 2] for text in texts]
    change = model.score(first, [language] * len(texts)) - score
    row("first half less whole, mean, good; bad", change[truth].mean(), change[~truth].mean())


def report_calibration(model: QualityModel, language: str, good: list[str], bad: list[str]) -> None:
    """Print how far scores are from probabilities, for as many good texts as bad ones, cut at several lengths."""
    number = min(len(good), len(bad))
    texts, truth = good[:number] + bad[:number], np.arange(2 * number) < number
    errors, aucs = [], []
    for tokens in (8, 32, 128, 10**6):
        score = model.score([text[: tokens * CHARACTERS[language]] for text in texts], [language] * len(texts))
        errors.append(calibration_error(score, truth))
        aucs.append(auc(score, truth))
    row("AUC of the first 8; 32; 128 tokens; whole", *aucs)
    row("calibration error of these", *errors)


def report_left_out(language: str, train: tuple[Domains, Domains], test: tuple[Domains, Domains]) -> None:
    """Print the AUC on each domain, with a model that has seen it and with one that has not."""
    for side, kind in enumerate(("good", "bad")):
        for name, texts in test[side].items():
            if len(train[side]) == 1 or len(texts) < 20:
                continue
            others = joined(test[1 - side])
            truth = np.arange(len(texts) + len(others)) < len(texts)
            found = []
            for without in ("", name):
                sides = [joined(domains, without) for domains in train]
                model, _ = fit_quality_models({language: sides[0]}, {language: sides[1]}, QualityConfig())
                found.append(auc(model.score(texts + others, [language] * len(truth)), truth == (side == 0)))
            row(f"AUC on {kind} {name}: seen; left out", *found)


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpora", type=Path)
    arguments.add_argument("--bad", nargs="*", default=())
    options = arguments.parse_args()
    scores = {}
    for language in LANGUAGES:
        sides = read(language, options.corpora, options.bad)
        train, test = zip(*map(split, sides))
        good, bad = (sorted(joined(domains), key=text_hash) for domains in test)
        model, _ = fit_quality_models({language: joined(train[0])}, {language: joined(train[1])}, QualityConfig())
        print(f"{language}: held out {len(good):,} good texts and {len(bad):,} bad ones")
        report_length(model, language, good, bad)
        report_calibration(model, language, good, bad)
        report_left_out(language, train, test)
        scores[language] = [model.score(texts, [language] * len(texts)) for texts in (good, bad)]
    report_languages(scores)


def report_languages(scores: dict[str, list[np.ndarray]]) -> None:
    """Print how the scores of (good, bad) texts differ between the languages."""
    print("zh and en")
    for side, kind in enumerate(("good", "bad")):
        for language in LANGUAGES:
            row(
                f"{kind} {language}: mean; quantiles .05 .25 .5 .75 .95",
                float(scores[language][side].mean()),
                *(np.quantile(scores[language][side], (0.05, 0.25, 0.5, 0.75, 0.95))),
            )
        pair = [scores[language][side] for language in LANGUAGES]
        row(f"{kind}: share above 1/2, zh; en", *(float((values > 0.5).mean()) for values in pair))
        row(f"{kind}: AUC of the score as a detector of zh", detector(*pair))
    equal = []
    for sides in scores.values():  # as many good as bad
        number = min(map(len, sides))
        equal.append(np.concatenate([side[:number] for side in sides]))
    row("as many good as bad: the same AUC", detector(*equal))


def detector(zh: np.ndarray, en: np.ndarray) -> float:
    """Return how well scores separate Chinese from English."""
    return auc(np.concatenate([zh, en]), np.arange(len(zh) + len(en)) < len(zh))


if __name__ == "__main__":
    main()
