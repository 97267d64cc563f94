"""All the rules as one function over texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from baichuan_jax.data.language import Language
from baichuan_jax.data.rules.chinese import converter
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.rules.document import DocumentRules
from baichuan_jax.data.rules.facts import Facts, facts_batch
from baichuan_jax.data.rules.normalize import normalize
from baichuan_jax.data.rules.prune import prune


@dataclass(frozen=True, slots=True)
class Cleaned:
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
        before = facts_batch([normalize(text) for text in texts])
        left = [self._left(facts) for facts in before]
        # What changed is counted again, all of it at once.
        changed = iter(facts_batch([text for facts, (_, text, _) in zip(before, left) if text is not facts.text]))
        for facts, (normal, text, pruned) in zip(before, left):
            facts = facts if text is facts.text else next(changed)
            size = sum(len(piece) for pieces in pruned.values() for piece in pieces)
            yield Cleaned(normal, text, facts.language, self._rules.broken(facts, size), pruned)

    def _left(self, facts: Facts) -> tuple[str, str, dict[str, list[str]]]:
        """Returns (the text converted, what is left of it, the sentences that went by reason)."""
        text = facts.text
        if self._convert is not None and facts.language == "zh":
            text = self._convert(text)
        return (text, *(prune(text, facts.language) if self._prune else (text, {})))
