"""Tokenizers that tests make for themselves."""

from pathlib import Path

import pytest


def write_json_tokenizer(folder: Path, names: list[str], template: str | None = None, added: tuple[str, ...] = ()):
    """Write a tokenizer.json of special names, then bytes, then words that are added to it."""
    tokenizers = pytest.importorskip("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    letters = {letter: len(names) + number for number, letter in enumerate(alphabet)}
    model = tokenizers.Tokenizer(tokenizers.models.BPE({name: id for id, name in enumerate(names)} | letters, []))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    model.add_special_tokens(names)
    model.add_tokens(list(added))
    if template:
        special = [(template, names.index(template))]
        model.post_processor = tokenizers.processors.TemplateProcessing(f"{template} $A", special_tokens=special)
    model.save(str(folder / "tokenizer.json"))
