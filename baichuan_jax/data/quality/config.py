"""Settings of the quality model."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require
from baichuan_jax.core.settings import setting

LANGUAGES = ("zh", "en", "code", "other")  # as in data/language.py, which needs numpy

REJECTED = "rejected"  # in `bad`: the texts that the rules removed


@dataclass(frozen=True)
class QualityConfig:
    """A linear model over hashed n-grams of tokens, one for each language that has good and bad examples."""

    good: tuple[str, ...] = setting((), "domains of good example texts")
    bad: tuple[str, ...] = setting(
        (REJECTED,), "domains of bad example texts; 'rejected' means the texts removed by the rules"
    )
    cut: float = setting(0.0, "documents with a lower score, the probability of a good text, are removed; 0 keeps all")
    sentence_cut: float = setting(0.0, "sentences with a lower score are removed; 0 keeps all")
    unscored: tuple[str, ...] = setting(
        (),
        "languages ('zh', 'en', 'code', 'other') that pass a cut without a model; text in other languages without a "
        "model makes a cut an error",
    )
    features: int = setting(18, "base-2 logarithm of the number of weights per language, 10 to 24")
    examples: int = setting(
        20_000,
        "maximum training documents per language and class; if there are fewer, long documents give several examples",
    )

    def __post_init__(self) -> None:
        both = sorted(set(self.good) & set(self.bad))
        require(not both, "QualityConfig.bad", self.bad, f"domains that are not good too, as {', '.join(both)} is")
        require(REJECTED not in self.good, "QualityConfig.good", self.good, "domains of DataConfig.sources")
        for name in ("cut", "sentence_cut"):
            value = getattr(self, name)
            require(0 <= value < 1, f"QualityConfig.{name}", value, "a probability, or 0 to keep all")
        strange = sorted(set(self.unscored) - set(LANGUAGES))
        require(not strange, "QualityConfig.unscored", self.unscored, f"some of {', '.join(LANGUAGES)}")
        require(10 <= self.features <= 24, "QualityConfig.features", self.features, "a power of two from 10 to 24")
        require(self.examples > 0, "QualityConfig.examples", self.examples, "a number of documents")
