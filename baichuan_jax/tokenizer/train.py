"""Training the SentencePiece BPE model to the recipe: single digits, byte fallback, nothing normalised away."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import sentencepiece

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path
from baichuan_jax.tokenizer.config import TokenizerConfig

LONGEST = 4_000  # characters; SentencePiece slows down on long strings and drops those over its own limit


def sample_lines(documents: Mapping[str, Iterable[str]], sample_bytes: int) -> Iterator[str]:
    """Yields non-empty lines, at most `sample_bytes` in all (0: no limit), the same share from every domain."""
    share = sample_bytes / len(documents) if sample_bytes else float("inf")
    for texts in documents.values():
        taken = 0
        for line in (line for text in texts for line in text.split("\n") if line):
            for start in range(0, len(line), LONGEST):
                piece = line[start : start + LONGEST]
                taken += len(piece.encode())
                yield piece
            if taken >= share:
                break


def train(cfg: TokenizerConfig, lines: Iterable[str], path: Path) -> None:
    """Trains on lines and writes the model to `path`. Raises UserError if the text cannot fill the vocabulary."""
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=cfg.vocab,
            character_coverage=cfg.character_coverage,
            split_digits=True,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            max_sentence_length=4 * LONGEST + 1,
            num_threads=cfg.threads,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explain(cfg, str(error)) from error
    with atomic_path(path) as partial:
        partial.write_bytes(model.getvalue())


def _explain(cfg: TokenizerConfig, error: str) -> UserError:
    limit = re.search(r"<= (\d+)", error)
    if limit:
        return UserError(
            f"TokenizerConfig.vocab = {cfg.vocab}: the training text has pieces for {limit[1]} at most; lower it (and "
            "DecoderConfig.vocab), or give more text"
        )
    if "smaller than required_chars" in error:
        return UserError(
            f"TokenizerConfig.vocab = {cfg.vocab} cannot hold every character to be covered; raise it, or lower "
            f"TokenizerConfig.character_coverage = {cfg.character_coverage} ({error})"
        )
    return UserError(f"SentencePiece could not train: {error}")
