"""A SentencePiece BPE model as the files that transformers loads: tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from baichuan_jax.core.files import write_json, write_text
from baichuan_jax.tokenizer.model_file import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, parse
from baichuan_jax.tokenizer.tokenizer import SPACE_MARK

JSON, CONFIG = "tokenizer.json", "tokenizer_config.json"


def export_huggingface(model: Path, directory: Path) -> None:
    """Writes both files; `AutoTokenizer.from_pretrained(directory)` then gives the ids that sentencepiece gives.

    One difference to `Tokenizer`: as in sentencepiece itself a real U+2581 becomes a space.
    """
    pieces = parse(model.read_bytes()).pieces
    fixed = [_added(id, piece) for id, piece in enumerate(pieces) if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)]
    space = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}
    back = {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": fixed,
        "normalizer": space,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[0].piece,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece.piece: id for id, piece in enumerate(pieces)},
            "merges": _merges(pieces),
        },
    }
    write_text(directory / JSON, json.dumps(content, ensure_ascii=False) + "\n")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": pieces[0].piece,
        "bos_token": pieces[1].piece,
        "eos_token": pieces[2].piece,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "</s>" in a text is four characters
    }
    write_json(directory / CONFIG, config)


def _added(id: int, piece: Any) -> dict:
    """Returns a piece that is matched before any merge; of the text itself if it was user-defined."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": piece.piece, **flags, "special": piece.type != USER_DEFINED}


def _merges(pieces: Any) -> list[list[str]]:
    """Returns every pair that makes a piece, the best piece first, as sentencepiece merges."""
    learned = sorted((piece for piece in pieces if piece.type == NORMAL), key=lambda piece: -piece.score)
    known = {piece.piece for piece in learned}
    return [
        [piece.piece[:cut], piece.piece[cut:]]
        for piece in learned
        for cut in range(1, len(piece.piece))
        if piece.piece[:cut] in known and piece.piece[cut:] in known
    ]
