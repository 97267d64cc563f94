"""Normalisation and all rules as one function over texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from baichuan_jax.data.language import Language
from baichuan_jax.data.rules.chinese import converter
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.document_rules import DocumentRules
from baichuan_jax.data.rules.facts import Facts, facts
from baichuan_jax.data.rules.normalize_many import normalize_many
from baichuan_jax.data.rules.prune import prune


class Cleaned(NamedTuple):
    """The result of the rules for a text.

    normal: the text normalised and converted. text: without the pruned lines and sentences, which `pruned` lists by
    reason. reason: the rule that removes the document, or None. repaired: number of replaced control characters
    (`controls`).
    """

    normal: str
    text: str
    language: Language
    reason: str | None
    pruned: dict[str, list[str]]
    repaired: int = 0


class Cleaner:
    """Normalise texts, prune bad lines and sentences, and find the first rule for documents that a text violates."""

    def __init__(self, cfg: FilterConfig):
        self._rules = DocumentRules(cfg)
        self._convert = converter(cfg.chinese)
        self._prune = cfg.sentences

    def __call__(self, texts: Sequence[str]) -> Iterator[Cleaned]:
        """Yield the result for each text; batches of `characters.BATCH` characters are fastest."""
        repaired: dict[int, int] = {}
        before = self._facts(normalize_many(texts, repaired))
        gone: dict[int, dict[str, list[str]]] = {}
        left = list(before.texts)
        for number, hints in before.hints.items():
            if before.languages[number] != "code":
                left[number], pruned = prune(left[number], hints)
                gone |= {number: pruned} if pruned else {}
        reasons, languages = self._rules.broken(before), before.languages
        if gone:  # the facts of changed texts are counted again, in one batch
            after = facts([left[number] for number in gone], hinted=False)
            sizes = [sum(sum(map(len, pieces)) for pieces in pruned.values()) for pruned in gone.values()]
            for number, reason, language in zip(gone, self._rules.broken(after, sizes), after.languages):
                reasons[number], languages[number] = reason, language
        for number, cleaned in enumerate(zip(before.texts, left, languages, reasons)):
            yield Cleaned(*cleaned, gone.get(number, {}), repaired.get(number, 0))

    def _facts(self, texts: Sequence[str]) -> Facts:
        """Return the facts of normalised texts, and convert the Chinese ones."""
        found = facts(texts, self._prune)
        if self._convert is None:
            return found
        pairs = zip(found.texts, found.languages)
        return facts([self._convert(text) if language == "zh" else text for text, language in pairs], self._prune)
