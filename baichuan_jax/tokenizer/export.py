"""A SentencePiece BPE model as the files that transformers loads: tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from itertools import dropwhile
from pathlib import Path
from typing import Any

from baichuan_jax.core.files import read_json, write_json, write_text
from baichuan_jax.tokenizer.beside import CONFIG
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.model_file import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, parse
from baichuan_jax.tokenizer.tokenizer import SPACE_MARK

JSON = "tokenizer.json"


def export_huggingface(model: Path, directory: Path, begins: bool = False, context: int | None = None) -> None:
    """Writes both files; `AutoTokenizer.from_pretrained(directory)` then gives the ids that sentencepiece gives.

    One difference to `Tokenizer`: as in sentencepiece itself a real U+2581 becomes a space. begins: whether the id that
    begins a text is put before it. context: longest sequence in tokens, if there is one.

    A model of others may put a space before a text: then so does what is written, unless the text begins with a symbol
    that is matched before all merges.
    """
    parsed = parse(model.read_bytes())
    pieces = parsed.pieces
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
        "post_processor": _template(pieces[1].piece, 1) if begins else None,
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
    if parsed.normalizer_spec.add_dummy_prefix:
        content["decoder"]["decoders"].append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
        if any(piece.type == USER_DEFINED for piece in pieces):  # they part a text: only its first part is meant
            first = {"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "first", "split": False}
            content |= {"normalizer": None, "pre_tokenizer": first}
        else:
            before = {"type": "Prepend", "prepend": SPACE_MARK}
            content["normalizer"] = {"type": "Sequence", "normalizers": [before, space]}
    write_text(directory / JSON, json.dumps(content, ensure_ascii=False) + "\n")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": pieces[0].piece,
        "bos_token": pieces[1].piece,
        "eos_token": pieces[2].piece,
        "add_bos_token": begins,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "</s>" in a text is four characters
        **({} if context is None else {"model_max_length": context}),
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


def _template(form: str, id: int) -> dict[str, Any]:
    """Return a post-processor that puts a special id before a text, and before a pair of them."""
    text = lambda name: [{"Sequence": {"id": name, "type_id": 0}}]
    start = [{"SpecialToken": {"id": form, "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": start + text("A"),
        "pair": start + text("A") + text("B"),
        "special_tokens": {form: {"id": form, "ids": [id], "tokens": [form]}},
    }


def set_begin(directory: Path, tokenizer: AnyTokenizer) -> None:
    """Makes published tokenizer files begin a text as the tokenizer does."""
    begins = bool(tokenizer.begin)
    known = read_json(directory / CONFIG) if (directory / CONFIG).is_file() else {}
    write_json(directory / CONFIG, {**known, "add_bos_token": begins})
    if not (directory / JSON).is_file():
        return
    content = read_json(directory / JSON)
    kept = _without_begin(content.get("post_processor"))
    if begins:
        [id] = tokenizer.begin
        form = next(form for form, special in tokenizer.specials.items() if special == id)
        kept = {"type": "Sequence", "processors": [*([kept] if kept else []), _template(form, id)]}
    write_text(directory / JSON, json.dumps({**content, "post_processor": kept}, ensure_ascii=False) + "\n")


def _without_begin(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a post-processor that puts no special id before a text, and is else as it was."""
    if not processor:
        return None
    if processor["type"] == "Sequence":
        return {**processor, "processors": [_without_begin(part) for part in processor["processors"]]}
    if processor["type"] != "TemplateProcessing":
        return processor
    bare = {name: list(dropwhile(lambda item: "SpecialToken" in item, processor[name])) for name in ("single", "pair")}
    return {**processor, **bare}
