"""The training sample of a tokenizer: its composition by domain and language, and its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.word_lists import LANGUAGES, word_lines

LONGEST = 4_000  # characters of a line; SentencePiece is slow on long strings and drops those beyond its own limit

Part = tuple[str, bool]  # (domain, whether its Chinese documents are meant, or all others)
# Domain -> a function that returns a new iterator over its documents, {"text", "language"}.
Documents = Mapping[str, Callable[[], Iterable[dict]]]


@dataclass(frozen=True)
class SamplePlan:
    """The composition of a sample, in UTF-8 bytes.

    sizes: bytes available in each part. targets: bytes to take from it. words: bytes from word lists, by language.
    """

    sizes: dict[Part, int]
    targets: dict[Part, float]
    words: dict[str, float]

    @property
    def total(self) -> float:
        """Return the bytes of the whole sample."""
        return sum(self.targets.values()) + sum(self.words.values())

    def record(self) -> dict:
        """Return megabytes by domain and language, for the result of the stage."""
        names = {(domain, zh): f"{domain} ({'zh' if zh else 'other'})" for domain, zh in self.targets}
        taken = {names[part]: round(size / 1e6, 3) for part, size in self.targets.items() if size}
        words = {f"words ({language})": round(size / 1e6, 3) for language, size in self.words.items() if size}
        return {"megabytes": taken | words, "zh_share": self.zh_share}

    @property
    def zh_share(self) -> float:
        """Return the share of the sample that is Chinese."""
        return (sum(self.targets[part] for part in self.targets if part[1]) + self.words["zh"]) / self.total


def plan_sample(cfg: TokenizerConfig, documents: Documents) -> SamplePlan:
    """Read all documents once to measure them, and plan the sample. Raise UserError if it would be empty."""
    sizes = part_sizes(documents)
    targets = _targets(cfg, sizes)
    text = sum(targets.values())
    if text == 0:
        raise UserError(
            f"TokenizerConfig.zh_share = {cfg.zh_share}, .weights = {cfg.weights}: they leave no document to train on; "
            f"the corpus has {sum(size for (_, zh), size in sizes.items() if zh):,} bytes of Chinese documents and "
            f"{sum(size for (_, zh), size in sizes.items() if not zh):,} of others"
        )
    zh = sum(size for (_, zh), size in targets.items() if zh) / text
    words = text * cfg.words / (1 - cfg.words)
    return SamplePlan(sizes, targets, dict(zip(LANGUAGES, (words * zh, words * (1 - zh)))))


def part_sizes(documents: Documents) -> dict[Part, int]:
    """Return the bytes of text in each part."""
    sizes: Counter[Part] = Counter()
    for domain, read in documents.items():
        for document in read():
            sizes[domain, document["language"] == "zh"] += len(document["text"].encode())
    return dict(sizes)


def _targets(cfg: TokenizerConfig, sizes: dict[Part, int]) -> dict[Part, float]:
    limit = (1 - cfg.words) * cfg.sample_bytes if cfg.sample_bytes else inf
    weights = {part: cfg.weights.get(part[0], 1.0) for part in sizes}
    usable = {part: size if weights[part] else 0 for part, size in sizes.items()}
    if cfg.zh_share is None:
        return share_out(usable, weights, limit)
    languages = {zh: {part: size for part, size in usable.items() if part[1] == zh} for zh in (True, False)}
    shares = {True: cfg.zh_share, False: 1 - cfg.zh_share}
    total = min(limit, *(sum(languages[zh].values()) / shares[zh] for zh in shares if shares[zh]))
    return {part: size for zh in shares for part, size in share_out(languages[zh], weights, shares[zh] * total).items()}


def share_out(sizes: Mapping[Part, int], weights: Mapping[Part, float], budget: float) -> dict[Part, float]:
    """Divide a budget among parts by weight; what exceeds the size of a part goes to the others (water filling)."""
    taken = dict.fromkeys(sizes, 0.0)
    open_parts = [part for part in sizes if sizes[part] and weights[part]]
    while open_parts:
        level = budget / sum(weights[part] for part in open_parts)
        full = [part for part in open_parts if sizes[part] <= level * weights[part]]
        for part in full or open_parts:
            taken[part] = float(sizes[part]) if full else level * weights[part]
            budget -= taken[part]
        open_parts = [part for part in open_parts if part not in full] if full else []
    return taken


def sample_lines(plan: SamplePlan, documents: Documents) -> Iterator[str]:
    """Yield the lines of the sample, taken evenly from each domain, then the words."""
    for domain, read in documents.items():
        wanted = {zh: _share(plan, (domain, zh)) for zh in (True, False)}
        due = dict.fromkeys(wanted, 0.0)
        for document in read():
            zh = document["language"] == "zh"
            for line in pieces(document["text"]) if wanted[zh] else ():
                due[zh] += wanted[zh]
                if due[zh] >= 1:
                    due[zh] -= 1
                    yield line
    for language, size in plan.words.items():
        if size:
            yield from word_lines(language, size)


def _share(plan: SamplePlan, part: Part) -> float:
    return plan.targets[part] / plan.sizes[part] if plan.sizes.get(part) else 0.0


def pieces(text: str) -> Iterator[str]:
    """Yield the non-empty lines of a text; lines beyond LONGEST characters in pieces."""
    for line in text.split("\n"):
        for start in range(0, len(line), LONGEST):
            yield line[start : start + LONGEST]
