"""Settings of the quality model."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_jax.core.errors import require

LANGUAGES = ("zh", "en", "code", "other")  # as in data/language.py, which needs numpy

REJECTED = "rejected"  # in `bad`: the texts that the rules removed


@dataclass(frozen=True)
class QualityConfig:
    """A linear model over hashed n-grams of tokens, one for each language that has good and bad examples.

    good: domains whose text is an example of good text.
    bad: domains whose text is an example of bad text; "rejected" stands for what the rules removed.
    cut: documents scored below it go; the score is a probability, 0 keeps all.
    sentence_cut: sentences scored below it go; 0 keeps all.
    unscored: languages ("zh", "en", "code", "other") that a cut may let pass without a model; without their names here
    a cut is refused if the corpus holds text that no model can score.
    features: size of the table of weights of a language, as a power of two.
    examples: documents of a language and class that are learnt from, at most; long ones give several examples if there
    are fewer documents.
    """

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = (REJECTED,)
    cut: float = 0.0
    sentence_cut: float = 0.0
    unscored: tuple[str, ...] = ()
    features: int = 18
    examples: int = 20_000

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
