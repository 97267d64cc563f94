"""Does our tokenizer compress Chinese and English as well as Baichuan-7B's, and what does that save?

Command: baichuan-jax experiment tokenizer_compression
Cost: three minutes on two cores, 3 GB of memory; with all text that `corpora` may name, 80 MB.

Tokenizers of several sizes are trained on the train split of every domain and on word lists. They are measured on
held-out documents and on texts of other sources, and compared with every tokenizer in a folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from baichuan_jax.core.errors import require
from baichuan_jax.core.files import digest, fingerprint
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import BLUE, COLORS, GREY, ORANGE, Plot, bar_height, bars
from baichuan_jax.lab.sweep import Point, Progress, run_units
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.measure import Measured, Meter
from baichuan_jax.tokenizer.stages import make_tokenizer
from baichuan_jax.tokenizer.tokenizer_files import find_tokenizers, load_tokenizer
from experiments.tokenizer_corpus import (
    CORPORA,
    TOKENIZERS,
    existing,
    held_out,
    language,
    macro,
    make_corpus,
    train_documents,
    unseen,
)

# Compress rates in Baichuan-7B's README; the text they were measured on is not named.
PUBLISHED = {"baichuan-7b": 0.737, "llama-32k": 1.312, "falcon-7b": 1.049, "mpt-7b": 1.206, "chatglm-6b": 0.631}
UNSEEN = {
    "alpaca_zh": "../shared/data/sft/alpaca_zh_demo.json",
    "cmmlu_zh": "../shared/data/eval/cmmlu.zip",
    "gaokao_zh": "../shared/data/eval/gaokao/*History*.json",
    "alpaca_en": "../shared/data/sft/alpaca_en_demo.json",
    "mmlu_en": "../shared/data/eval/mmlu.zip",
    "gsm8k_en": "../shared/data/eval/gsm8k/test.jsonl",
}
DEBUG = (
    *("TokenizerCompression.vocabs=(3000, 3500)", "TokenizerCompression.max_bytes=150000"),
    *("TokenizerCompression.words=0.1", "TokenizerCompression.corpora=''", "TokenizerCompression.tokenizers=''"),
    "TokenizerCompression.unseen={}",
)


@dataclass(frozen=True)
class TokenizerCompression:
    """Sizes, training text and compared tokenizers. Defaults that are absent on this machine are skipped."""

    workdir: str = setting("runs/experiments/tokenizer_compression", "directory of units, tables, plots and report")
    corpora: str = setting(
        CORPORA, "folder of NAME.LANGUAGE.jsonl.gz to train on besides the demo corpora; '' for none"
    )
    tokenizers: str = setting(TOKENIZERS, "folder of tokenizers to compare with; '' for none")
    unseen: dict[str, str] = setting(
        UNSEEN, "NAME_LANGUAGE -> path or glob of texts from other sources, for measurement only"
    )
    vocabs: tuple[int, ...] = setting((8_000, 16_000, 32_000, 64_000), "vocabulary sizes to train")
    words: float = setting(0.45, "share of word lists in the sample")
    zh_share: float | None = setting(None, "share of the sample that is Chinese, as in TokenizerConfig")
    sample_bytes: int = setting(0, "UTF-8 bytes of the sample; 0 is all")
    max_bytes: int = setting(0, "bytes of text read per domain; 0 is all")

    def __post_init__(self) -> None:
        require(bool(self.vocabs), "TokenizerCompression.vocabs", self.vocabs, "one size at least")


def settings(cfg: TokenizerCompression, vocab: int) -> TokenizerConfig:
    """Return the training settings of a tokenizer. Small vocabularies encode the rarest characters as bytes."""
    coverage = 0.995 if vocab < 12_000 else 0.9999
    return replace(
        TokenizerConfig(vocab=vocab, character_coverage=coverage, words=cfg.words),
        zh_share=cfg.zh_share,
        sample_bytes=cfg.sample_bytes,
    )


def run(cfg: TokenizerCompression, directory: Path, progress: Progress) -> Outcome:
    """Train, measure, and report."""
    corpora = existing("TokenizerCompression.corpora", cfg.corpora, CORPORA)
    folder = existing("TokenizerCompression.tokenizers", cfg.tokenizers, TOKENIZERS)
    corpus, identity = make_corpus(corpora, cfg.max_bytes, directory, progress)
    files = trained(cfg, corpus, identity, directory, progress)
    files |= find_tokenizers(folder) if folder else {}
    texts = {"held out": held_out(corpus), "unseen": unseen(cfg.unseen)}
    measured = measure(files, texts, directory, progress)
    return tell(cfg, measured, texts)


def name_of(vocab: int) -> str:
    """Return the name of a tokenizer trained here: ours-64k."""
    return f"ours-{vocab / 1000:g}k"


def trained(
    cfg: TokenizerCompression, corpus: Path, identity: str, directory: Path, progress: Progress
) -> dict[str, Path]:
    """Train a tokenizer of every size; return {name: its file}."""
    documents = train_documents(corpus)
    sweep = [{"corpus": identity, **asdict(settings(cfg, vocab))} for vocab in cfg.vocabs]
    paths: dict[str, Path] = {}

    def build(point: Point, folder: Path) -> dict:
        made = make_tokenizer(TokenizerConfig(**{k: v for k, v in point.items() if k != "corpus"}), documents, folder)
        return {**made, "file": str(folder / "tokenizer.model")}

    for vocab, result in zip(cfg.vocabs, run_units(directory / "units", sweep, build, progress, "train")):
        paths[name_of(vocab)] = Path(result["file"])
    return paths


Texts = dict[str, dict[str, list[str]]]  # "held out" or "unseen" -> domain -> texts
Results = dict[str, dict[str, dict]]  # name of a tokenizer -> "vocab", and kinds of text -> domain -> Measured


def measure(files: dict[str, Path], texts: Texts, directory: Path, progress: Progress) -> Results:
    """Measure every tokenizer on all texts."""
    contents = fingerprint(files.values())
    identity = digest(repr(texts))

    def build(point: Point, folder: Path) -> dict:
        tokenizer = load_tokenizer(files[point["tokenizer"]])
        meter = Meter(tokenizer)
        rates = {
            kind: {domain: asdict(meter.measure(found)) for domain, found in domains.items()}
            for kind, domains in texts.items()
        }
        return {"vocab": tokenizer.vocab, **rates}

    sweep = [
        {"tokenizer": name, "file": contents[str(path)]["sha256"][:16], "texts": identity}
        for name, path in files.items()
    ]
    results = run_units(directory / "units", sweep, build, progress, "measure")
    for result in results:
        for kind in texts:
            result[kind] = {domain: Measured(**counts) for domain, counts in result[kind].items()}
    return dict(zip(files, results))


def tell(cfg: TokenizerCompression, results: Results, texts: Texts) -> Outcome:
    """Return tables, plots and a summary."""
    ours = name_of(max(cfg.vocabs))
    notes = [] if texts["unseen"] else ["No text of sources that are no domain was found: see `unseen`."]
    return Outcome(
        conclusion(results, ours),
        [summary(results), cost(results), by_domain(results), every_count(results)],
        plots(results, ours),
        notes,
    )


def rates(result: dict, kind: str) -> dict[str, float]:
    """Return tokens per character of every domain."""
    return {domain: counts.per_character for domain, counts in result[kind].items()}


def conclusion(results: Results, ours: str) -> str:
    """Return the answer in words."""
    found = {kind: macro(rates(results[ours], "held out"), kind) for kind in ("zh", "en")}
    said = f"{ours} needs {found['zh']:.3f} tokens per character of Chinese and {found['en']:.3f} of English held out"
    if "baichuan-7b" not in results:
        return f"{said}."
    their = {kind: macro(rates(results["baichuan-7b"], "held out"), kind) for kind in found}
    return f"{said}; Baichuan-7B's tokenizer {their['zh']:.3f} and {their['en']:.3f} (means over domains)."


def summary(results: Results) -> Table:
    """Tokens per character by language, and other properties of the tokenizers."""
    rows = []
    for name, result in results.items():
        means = [macro(rates(result, kind), lang) for kind in ("held out", "unseen") for lang in ("zh", "en")]
        news = result["held out"].get("zh_news")
        total = sum(result["held out"].values(), start=Measured(*[0] * 11))
        rows.append(
            [
                *(name, result["vocab"], *means[:2], macro(rates(result, "held out"), "code"), *means[2:]),
                *(news and news.per_character, PUBLISHED.get(name)),
                total.digit_tokens / max(1, total.digits),
                100 * total.split / total.tokens,
                100 * total.unknown / total.tokens,
                100 * total.whole / total.documents,
            ]
        )
    rows.sort(key=lambda row: row[2])
    return Table(
        "compression",
        "Tokens per character (lower is better)",
        [
            *("tokenizer", "vocabulary", "zh", "en", "code", "zh unseen", "en unseen", "zh news", "published"),
            *("tokens/digit", "part tokens %", "unknown %", "kept %"),
        ],
        rows,
        "zh, en, unseen: means over domains. zh news: People's Daily, beside the compress rate that Baichuan-7B's "
        "README gives. Part tokens: those that are a part of a character. Kept: documents that decode to "
        "what they were; a tokenizer that loses white space has fewer tokens to pay for.",
    )


def cost(results: Results) -> Table:
    """Return the cost of a token, and of a character, in a 7B decoder."""
    rows = []
    for name, result in results.items():
        shape = DecoderConfig(vocab=result["vocab"])
        flops = flops_per_token(shape, shape.context, causal=False)
        groups = {lang: _sum(result, lang) for lang in ("zh", "en", "code")}
        total = sum(result["held out"].values(), start=Measured(*[0] * 11))
        per = [flops * macro(rates(result, "held out"), lang) / 1e9 for lang in ("zh", "en")]
        rows.append(
            [
                *(name, *(counts and counts.bytes / counts.tokens for counts in groups.values())),
                *(counts and counts.tokens / counts.words for counts in (groups["en"], groups["code"])),
                *(total.bytes / total.seconds / 1e6, 2 * result["vocab"] * shape.hidden / 1e6, flops / 1e9, *per),
            ]
        )
    return Table(
        "cost",
        "Bytes per token, fertility, speed, and the cost in a decoder of Baichuan-7B's shape",
        [
            *("tokenizer", "bytes/token zh", "en", "code", "tokens/word en", "code", "MB/s"),
            *("embeddings (M)", "GFLOP/token", "GFLOP/char zh", "GFLOP/char en"),
        ],
        rows,
        "Bytes per token and fertility over all held-out text of a language together; a word is a run of letters. "
        "MB/s: one thread, all domains. Embeddings: parameters of token table and head. FLOPs: training, sequences of "
        "4,096, attention in full; per character, of the mean over domains.",
        shown="page",
    )


def _sum(result: dict, lang: str) -> Measured | None:
    found = [counts for domain, counts in result["held out"].items() if language(domain) == lang]
    return sum(found[1:], start=found[0]) if found else None


def by_domain(results: Results) -> Table:
    """Tokens per character of every domain and tokenizer."""
    first = next(iter(results.values()))
    rows = [
        [domain, kind, counts.characters, *(result[kind][domain].per_character for result in results.values())]
        for kind in ("held out", "unseen")
        for domain, counts in first[kind].items()
    ]
    return Table(
        "domains", "Tokens per character by domain", ["domain", "text", "characters", *results], rows, shown="page"
    )


def every_count(results: Results) -> Table:
    """All counts."""
    rows = [
        [name, kind, domain, *asdict(counts).values()]
        for name, result in results.items()
        for kind in ("held out", "unseen")
        for domain, counts in result[kind].items()
    ]
    head = ["tokenizer", "text", "domain", *Measured.__dataclass_fields__]
    return Table("counts", "Every count", head, rows, shown="files")


def plots(results: Results, ours: str) -> list[Plot]:
    """Bars per domain, compression against vocabulary, Chinese against English."""
    colors = {ours: BLUE, "baichuan-7b": GREY, "llama-32k": ORANGE}
    compared = {name: color for name, color in colors.items() if name in results}
    found = [
        Plot(
            f"bars_{kind.replace(' ', '_')}",
            f"Tokens per character, {kind}",
            f"Tokens per character of {kind} text, by domain; the table below has every number.",
            partial(
                bars,
                names=list(results[ours][kind]),
                series={name: list(rates(results[name], kind).values()) for name in compared},
                colors=list(compared.values()),
                unit="tokens per character",
            ),
            bar_height(len(results[ours][kind]), len(compared)),
        )
        for kind in ("held out", "unseen")
        if results[ours][kind]
    ]
    size = Plot(
        "vocabulary",
        "Compression against vocabulary",
        "Tokens per character against the number of pieces.",
        partial(_against_size, results=results),
        3.2,
    )
    scatter = Plot(
        "languages",
        "Chinese against English",
        "Tokens per character of Chinese against those of English.",
        partial(_scatter, results=results),
        3.6,
    )
    return [*found, size, scatter]


def _against_size(axes: Axes, results: Results) -> None:
    for color, lang in zip(COLORS, ("zh", "en")):
        points = {name: (r["vocab"], macro(rates(r, "held out"), lang)) for name, r in results.items()}
        ours = sorted(point for name, point in points.items() if name.startswith("ours-"))
        axes.plot(*zip(*ours), "o-", color=color, label=f"ours, {lang}")
        theirs = {name: point for name, point in points.items() if not name.startswith("ours-")}
        if theirs:
            axes.plot(*zip(*theirs.values()), "x", color=color, label=f"others, {lang}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([1000 * 2**power for power in range(8)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}k"))
    axes.set_xlabel("pieces")
    axes.set_ylabel("tokens per character")


def _scatter(axes: Axes, results: Results) -> None:
    for name, result in results.items():
        place = [macro(rates(result, "held out"), lang) for lang in ("en", "zh")]
        axes.plot(*place, "o" if name.startswith("ours-") else "x", color=BLUE if name.startswith("ours-") else ORANGE)
        above = -9 if name.startswith("ours-") else 3  # close neighbours
        axes.annotate(name, place, xytext=(4, above), textcoords="offset points", fontsize=7)
    axes.margins(x=0.18)
    axes.set_xlabel("English, tokens per character")
    axes.set_ylabel("Chinese, tokens per character")
