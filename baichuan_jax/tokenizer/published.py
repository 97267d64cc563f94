"""The tokenizer files of a Hugging Face checkpoint: taken over as they are, or written for a model of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from baichuan_jax.core.files import atomic_path, read_json, write_json
from baichuan_jax.tokenizer.tokenizer import SPACE_MARK

CONFIG, MODEL, TOKENIZER, GENERATION = (
    "config.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "generation_config.json",
)
MORE = ("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
TAKEN = (MODEL, TOKENIZER, GENERATION, *MORE)


def take(source: Path, directory: Path) -> list[str]:
    """Copies the config of a checkpoint, and such of its tokenizer files as it has; returns their names."""
    return _copy(source, directory, (CONFIG, *TAKEN))


def give(origin: Path | None, tokenizer: Path, context: int, directory: Path) -> None:
    """Puts tokenizer files into a checkpoint that stock transformers is to load.

    origin: a directory that `take` has filled; without one, or with a tokenizer that needs code of its own, they are
    written for `tokenizer`, if that is a SentencePiece model. context: longest sequence in tokens.
    """
    if origin is not None:
        known = read_json(origin / TOKENIZER) if (origin / TOKENIZER).is_file() else {}
        if "auto_map" not in known and any((origin / name).is_file() for name in (TOKENIZER, "tokenizer.json")):
            _copy(origin, directory, TAKEN)
            return
        _copy(origin, directory, (GENERATION,))
    if tokenizer.is_file() and tokenizer.suffix == Path(MODEL).suffix:
        _write(tokenizer, context, directory)


def tokenizer_file(directory: Path) -> Path:
    """Returns the file of a tokenizer, of those that a run may use; where there is none, the one that is missed."""
    found = [directory / name for name in (MODEL, "tokenizer.json") if (directory / name).is_file()]
    return (found or [directory / MODEL])[0]


def _copy(source: Path, directory: Path, names: Iterable[str]) -> list[str]:
    found = [name for name in names if (source / name).is_file()]
    for name in found:
        with atomic_path(directory / name) as partial:
            shutil.copyfile(source / name, partial)
    return found


def _write(model: Path, context: int, directory: Path) -> None:
    with atomic_path(directory / MODEL) as partial:
        shutil.copyfile(model, partial)
    pieces = SentencePieceProcessor(model_file=str(model)).encode("a", out_type=str)
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": pieces[0].startswith(SPACE_MARK),  # as the model itself does it
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "legacy": False,
        "split_special_tokens": True,  # "</s>" in a text is four characters
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }
    write_json(directory / TOKENIZER, config)
