"""All the rules as one function over texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from baichuan_jax.data.language import Language
from baichuan_jax.data.rules.chinese import converter
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.document import DocumentRules
from baichuan_jax.data.rules.facts import Facts, facts_batch
from baichuan_jax.data.rules.normalize_many import normalize_many
from baichuan_jax.data.rules.prune import prune


class Cleaned(NamedTuple):
    """What the rules made of a text.

    normal: normalised, and converted. text: less the sentences that went, which `pruned` has by reason. reason: of the
    rule that removes it, or None.
    """

    normal: str
    text: str
    language: Language
    reason: str | None
    pruned: dict[str, list[str]]


class Cleaner:
    """Normalises texts, takes bad sentences out, and finds the rule for documents that a text breaks."""

    def __init__(self, cfg: FilterConfig):
        self._rules = DocumentRules(cfg)
        self._convert = converter(cfg.chinese)
        self._prune = cfg.sentences

    def __call__(self, texts: Sequence[str]) -> Iterator[Cleaned]:
        """Yields what becomes of each text."""
        before = self._facts(normalize_many(texts))
        left = [prune(facts) if self._prune else (facts.text, {}) for facts in before]
        # What changed is counted again, all of it at once.
        changed = iter(facts_batch([text for facts, (text, _) in zip(before, left) if text is not facts.text]))
        for facts, (text, pruned) in zip(before, left):
            after = facts if text is facts.text else next(changed)
            size = sum(sum(map(len, pieces)) for pieces in pruned.values()) if pruned else 0
            yield Cleaned(facts.text, text, after.language, self._rules.broken(after, size), pruned)

    def _facts(self, texts: Sequence[str]) -> list[Facts]:
        """Returns the facts of normalised texts, the Chinese ones converted."""
        found = facts_batch(texts)
        if self._convert is None:
            return found
        return facts_batch([self._convert(facts.text) if facts.language == "zh" else facts.text for facts in found])
