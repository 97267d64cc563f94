"""Train the SentencePiece BPE model of the recipe: single digits, byte fallback, no normalisation."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.model_file import parse_model, symbols_as_controls
from baichuan_jax.tokenizer.sample import LONGEST
from baichuan_jax.tokenizer.symbols import LAYOUTS


def train_tokenizer(cfg: TokenizerConfig, lines: Iterable[str], path: Path) -> None:
    """Train on lines and write the model to `path`. Raise UserError if the text cannot fill the vocabulary."""
    model = io.BytesIO()
    symbols = LAYOUTS[cfg.layout]
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=cfg.vocab,
            character_coverage=cfg.character_coverage,
            user_defined_symbols=list(symbols),
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
    # They are trained as user-defined symbols so that their ids precede the bytes. Stored as control pieces, no text
    # encodes to them.
    content = symbols_as_controls(parse_model(model.getvalue())).SerializeToString(deterministic=True)
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def _explain(cfg: TokenizerConfig, error: str) -> UserError:
    limit = re.search(r"<= (\d+)", error)
    if limit:
        return UserError(
            f"TokenizerConfig.vocab = {cfg.vocab}: the training text supports at most {limit[1]} pieces; lower it (and "
            "DecoderConfig.vocab), or add text"
        )
    if "smaller than required_chars" in error:
        return UserError(
            f"TokenizerConfig.vocab = {cfg.vocab} is too small for the required characters; raise it, or lower "
            f"TokenizerConfig.character_coverage = {cfg.character_coverage} ({error})"
        )
    return UserError(f"SentencePiece training failed: {error}")
