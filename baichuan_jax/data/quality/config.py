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

    good: tuple[str, ...] = setting((), "domains whose text is an example of good text")
    bad: tuple[str, ...] = setting(
        (REJECTED,), "domains whose text is an example of bad text; 'rejected' stands for what the rules removed"
    )
    cut: float = setting(
        0.0, "documents with a lower score are removed; the score is a probability of being good; 0 keeps all"
    )
    sentence_cut: float = setting(0.0, "sentences with a lower score are removed; 0 keeps all")
    unscored: tuple[str, ...] = setting(
        (),
        "languages ('zh', 'en', 'code', 'other') that a cut may let pass without a model; text in any other language "
        "that no model can score makes a cut an error",
    )
    features: int = setting(18, "size of the table of weights of a language: its base-2 logarithm, 10 to 24")
    examples: int = setting(
        20_000,
        "most documents of a language and class that are learnt from; where there are fewer, long documents give "
        "several examples",
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
