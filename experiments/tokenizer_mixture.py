"""Which share of Chinese should a tokenizer be trained on? Share x vocabulary -> compression of each language.

Command: baichuan-jax experiment tokenizer_mixture
Cost: three minutes on two cores, 1.5 GB of memory, with all text that `corpora` may name.

Samples of one size differ only in their share of Chinese, in documents and in word lists, and are measured on held-out
documents. The plot shows the cost in English of more Chinese.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import COLORS, Plot
from baichuan_jax.lab.sweep import Point, Progress, product, run_units, values
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.measure import Meter
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.stages import MODEL, make_tokenizer
from experiments.tokenizer_corpus import CORPORA, existing, held_out, macro, make_corpus, train_documents

COVERAGE = 0.9995  # a small vocabulary, trained on Chinese alone, has no room for the rarest characters
DEBUG = (
    *("TokenizerMixture.vocabs=(4000,)", "TokenizerMixture.shares=(0.2, 0.8)", "TokenizerMixture.corpora=''"),
    *("TokenizerMixture.max_bytes=150000", "TokenizerMixture.sample_bytes=0", "TokenizerMixture.words=0.0"),
)


@dataclass(frozen=True)
class TokenizerMixture:
    """The points of the sweep."""

    workdir: str = setting("runs/experiments/tokenizer_mixture", "directory of units, tables, plots and report")
    corpora: str = setting(
        CORPORA, "folder of NAME.LANGUAGE.jsonl.gz to train on besides the demo corpora; '' for none"
    )
    max_bytes: int = setting(0, "bytes of text read per domain; 0 is all")
    vocabs: tuple[int, ...] = setting((16_000, 64_000), "vocabulary sizes")
    shares: tuple[float, ...] = setting((0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0), "shares of Chinese in the sample")
    words: float = setting(0.45, "share of word lists in the sample")
    sample_bytes: int = setting(40_000_000, "UTF-8 bytes of every sample; 0 is as large as its share allows")


def run(cfg: TokenizerMixture, directory: Path, progress: Progress) -> Outcome:
    """Train and measure every point."""
    corpora = existing("TokenizerMixture.corpora", cfg.corpora, CORPORA)
    corpus, identity = make_corpus(corpora, cfg.max_bytes, directory, progress)
    documents, texts = train_documents(corpus), held_out(corpus)

    def build(point: Point, folder: Path) -> dict:
        settings = TokenizerConfig(
            vocab=point["vocab"],
            zh_share=point["zh_share"],
            words=point["words"],
            sample_bytes=point["sample_bytes"],
            character_coverage=COVERAGE,
        )
        made = make_tokenizer(settings, documents, folder)
        meter = Meter(SentencePieceTokenizer(folder / MODEL))
        return {**made, "held out": {domain: asdict(meter.measure(found)) for domain, found in texts.items()}}

    sweep = product(
        [{"corpus": identity, "words": cfg.words, "sample_bytes": cfg.sample_bytes}],
        values("vocab", cfg.vocabs),
        values("zh_share", cfg.shares),
    )
    results = run_units(directory / "units", sweep, build, progress, "mixture")
    rows = [[point["vocab"], point["zh_share"], *_rates(result)] for point, result in zip(sweep, results)]
    return Outcome(_lead(rows), [_table(rows, cfg)], _plots(rows))


def _rates(result: dict) -> list[float | None]:
    rates = {domain: counts["tokens"] / counts["characters"] for domain, counts in result["held out"].items()}
    return [macro(rates, kind) for kind in ("zh", "en", "code")]


def _table(rows: list[list], cfg: TokenizerMixture) -> Table:
    size = f"Every sample has {cfg.sample_bytes / 1e6:g} MB" if cfg.sample_bytes else "A sample is all there is"
    return Table(
        "mixture",
        "Tokens per character of documents held out",
        ["vocabulary", "share of Chinese", "zh", "en", "code"],
        rows,
        f"Means over domains. {size}, {cfg.words:.0%} of it words.",
    )


def _lead(rows: list[list]) -> str:
    vocab = max(row[0] for row in rows)
    found = [row for row in rows if row[0] == vocab]
    best = min(found, key=lambda row: (row[2] / min(r[2] for r in found)) * (row[3] / min(r[3] for r in found)))
    return (
        f"With {vocab:,} pieces the product of both rates is smallest at {best[1]:.0%} Chinese: {best[2]:.3f} tokens "
        f"per character of Chinese, {best[3]:.3f} of English."
    )


def _plots(rows: list[list]) -> list[Plot]:
    by_vocab = {vocab: [row for row in rows if row[0] == vocab] for vocab in dict.fromkeys(row[0] for row in rows)}
    said = (
        "Tokens per character of each language against the share of Chinese in the sample; the table has the numbers."
    )
    plots = [
        Plot(
            f"share_{kind}",
            f"Tokens per character, {kind}",
            said,
            partial(_against_share, by_vocab=by_vocab, column=at),
        )
        for at, kind in enumerate(("zh", "en", "code"), 2)
    ]
    trade = Plot(
        "trade",
        "Chinese against English",
        "One line per vocabulary, from a sample without Chinese to one of Chinese alone.",
        partial(_trade, by_vocab=by_vocab),
        3.2,
    )
    return [trade, *plots]


def _against_share(axes: Axes, by_vocab: dict[int, list[list]], column: int) -> None:
    for color, (vocab, rows) in zip(COLORS, by_vocab.items()):
        axes.plot([row[1] for row in rows], [row[column] for row in rows], "o-", color=color, label=f"{vocab:,} pieces")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of Chinese in the sample")
    axes.set_ylabel("tokens per character")


def _trade(axes: Axes, by_vocab: dict[int, list[list]]) -> None:
    for color, (vocab, rows) in zip(COLORS, by_vocab.items()):
        axes.plot([row[3] for row in rows], [row[2] for row in rows], "o-", color=color, label=f"{vocab:,} pieces")
        for row in rows:
            place = {"xytext": (1, 5), "textcoords": "offset points", "rotation": 60, "fontsize": 7}
            axes.annotate(f"{row[1]:.0%}", (row[3], row[2]), **place)
    axes.margins(y=0.15)
    axes.set_xlabel("English, tokens per character")
    axes.set_ylabel("Chinese, tokens per character")
