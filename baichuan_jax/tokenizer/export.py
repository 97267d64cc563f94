"""Export of a SentencePiece BPE model to the files that transformers loads: tokenizer.json, tokenizer_config.json."""

from __future__ import annotations

import json
from itertools import dropwhile
from pathlib import Path
from typing import Any

import sentencepiece

from baichuan_jax.core.files import write_json, write_text
from baichuan_jax.core.json_object import read_object
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.model_file import (
    BPE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    parse_model,
    symbols_as_controls,
)
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SPACE_MARK
from baichuan_jax.tokenizer.special_tokens import CONFIG
from baichuan_jax.tokenizer.symbols import is_special

JSON = "tokenizer.json"
FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)  # matched literally, before the rest
SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}
BACK = {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def export_huggingface(model: Path, directory: Path, begins: bool = False, context: int | None = None) -> None:
    """Write both files; `AutoTokenizer.from_pretrained(directory)` then returns the ids that sentencepiece returns.

    One difference to `SentencePieceTokenizer`: as in sentencepiece itself a real U+2581 becomes a space. begins:
    whether BOS is prepended. context: longest sequence in tokens, if there is one. If tokenizer.json cannot express the
    model, only tokenizer_config.json is written.
    """
    parsed = parse_model(model.read_bytes())
    pieces, spec = parsed.pieces, parsed.trainer_spec
    bos, eos = (pieces[id].piece if id >= 0 else None for id in (spec.bos_id, spec.eos_id))
    config = {
        "unk_token": pieces[spec.unk_id].piece,
        "bos_token": bos,
        "eos_token": eos,
        "add_bos_token": begins,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "</s>" in a text is four characters
    }
    if not parsed.normalizer_spec.add_dummy_prefix:
        config["add_prefix_space"] = False  # llama.cpp's converter takes a text to begin with a space otherwise
    if context is not None:
        config["model_max_length"] = context
    try:
        content = _content(parsed) | {"post_processor": _template(bos, spec.bos_id) if begins and bos else None}
        write_text(directory / JSON, json.dumps(content, ensure_ascii=False) + "\n")
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    except Inexpressible:
        (directory / JSON).unlink(missing_ok=True)
    write_json(directory / CONFIG, config)


class Inexpressible(Exception):
    """tokenizer.json cannot express a model."""


def _is_plain(model: Any) -> bool:
    """Return whether a model is BPE with byte fallback that changes no text except spaces."""
    normal, trained = model.normalizer_spec, model.trainer_spec
    changes = normal.precompiled_charsmap or normal.remove_extra_whitespaces or not normal.escape_whitespaces
    odd = trained.treat_whitespace_as_suffix or any(piece.type == UNUSED for piece in model.pieces)
    return trained.model_type == BPE and trained.byte_fallback and not (changes or odd)


def _content(model: Any) -> dict[str, Any]:
    """Return tokenizer.json of a model. Symbols that are text become added tokens, which are matched first.

    If the model prepends a space to a text, the space precedes these symbols too, which added tokens cannot express.
    Then a pre-tokenizer splits them off after the space was added; each is a whole word and so its own token.

    Raise Inexpressible if that is not enough.
    """
    if not _is_plain(model):
        raise Inexpressible
    pieces, prefix = model.pieces, model.normalizer_spec.add_dummy_prefix
    symbols = [piece.piece for piece in pieces if _is_symbol(piece)] if prefix else []
    normalizers = [{"type": "Prepend", "prepend": SPACE_MARK}, SPACE] if prefix else [SPACE]
    decoders = [BACK, {"type": "ByteFallback"}, {"type": "Fuse"}, *([STRIP] if prefix else [])]
    longest_first = map(_exactly, sorted(symbols, key=len, reverse=True))  # as sentencepiece matches them
    cuts = [_isolated("|".join(longest_first)), *_cuts_of_names(model, symbols)] if symbols else []
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id, "content": piece.piece, **FLAGS, "special": not _is_symbol(piece)}
            for id, piece in enumerate(pieces)
            if piece.type in (UNKNOWN, CONTROL, USER_DEFINED) and not (prefix and _is_symbol(piece))
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cuts} if cuts else None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[model.trainer_spec.unk_id].piece,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": bool(symbols),
            "vocab": {_name(id, piece): id for id, piece in enumerate(pieces)},
            "merges": _merges(pieces),
        },
    }


def _name(id: int, piece: Any) -> str:
    """Return the name of a piece in the vocabulary: itself, except for NUL, which sentencepiece encodes as a byte."""
    return f"<unused_{id}>" if piece.piece == "\0" else piece.piece


def _is_symbol(piece: Any) -> bool:
    """Return whether a piece is a symbol that is text itself, such as a digit or <p>."""
    return piece.type == USER_DEFINED and not is_special(piece.piece)


def _cuts_of_names(model: Any, symbols: list[str]) -> list[dict[str, Any]]:
    """Return pre-tokenizers that split words which equal the name of an id but do not encode to it, such as "<s>".

    Raise Inexpressible if there is no place to split one.
    """
    plain = symbols_as_controls(model)
    plain.normalizer_spec.add_dummy_prefix = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=plain.SerializeToString())
    names = {piece.piece: id for id, piece in enumerate(model.pieces)}
    encode = lambda text: processor.encode(text.replace(SPACE_MARK, " "))
    spelled = dict(zip(names, processor.encode([name.replace(SPACE_MARK, " ") for name in names])))
    odd = {name: ids for name, ids in spelled.items() if ids != [names[name]]}
    cuts = []
    for name, ids in odd.items():
        if any(symbol in name for symbol in symbols):  # it is split there
            continue
        parts = ((name[:place], name[place:]) for place in range(1, len(name)))
        fit = (pair for pair in parts if not odd.keys() & {*pair} and encode(pair[0]) + encode(pair[1]) == ids)
        if (pair := next(fit, None)) is None:
            raise Inexpressible(name)
        cuts.append(f"{_exactly(pair[0])}(?={_exactly(pair[1])}\\z)")
    return [_isolated(f"\\A(?:{'|'.join(cuts)})")] if cuts else []


def _isolated(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _exactly(text: str) -> str:
    """Return a pattern that matches a text."""
    return "".join(f"\\x{{{ord(letter):X}}}" for letter in text)


def _merges(pieces: Any) -> list[list[str]]:
    """Return every pair that merges to a piece, the best piece first, as sentencepiece does."""
    learned = sorted((piece for piece in pieces if piece.type == NORMAL), key=lambda piece: -piece.score)
    known = {piece.piece for piece in learned}
    return [
        [piece.piece[:cut], piece.piece[cut:]]
        for piece in learned
        for cut in range(1, len(piece.piece))
        if piece.piece[:cut] in known and piece.piece[cut:] in known
    ]


def _template(form: str, id: int) -> dict[str, Any]:
    """Return a post-processor that prepends a special id to a text, and to a pair of texts."""
    text = lambda name: [{"Sequence": {"id": name, "type_id": 0}}]
    start = [{"SpecialToken": {"id": form, "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": start + text("A"),
        "pair": start + text("A") + text("B"),
        "special_tokens": {form: {"id": form, "ids": [id], "tokens": [form]}},
    }


def set_begin(directory: Path, tokenizer: AnyTokenizer) -> None:
    """Change published tokenizer files so that they prepend BOS if the tokenizer does."""
    begins = bool(tokenizer.begin)
    known = read_object(directory / CONFIG) if (directory / CONFIG).is_file() else {}
    write_json(directory / CONFIG, {**known, "add_bos_token": begins})
    if not (directory / JSON).is_file():
        return
    content = read_object(directory / JSON)
    kept = _without_begin(content.get("post_processor"))
    if begins:
        [id] = tokenizer.begin
        form = next(form for form, special in tokenizer.specials.items() if special == id)
        kept = {"type": "Sequence", "processors": [*([kept] if kept else []), _template(form, id)]}
    write_text(directory / JSON, json.dumps({**content, "post_processor": kept}, ensure_ascii=False) + "\n")


def _without_begin(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a copy of a post-processor that prepends no special id."""
    if not processor:
        return None
    if processor["type"] == "Sequence":
        return {**processor, "processors": [_without_begin(part) for part in processor["processors"]]}
    if processor["type"] != "TemplateProcessing":
        return processor
    bare = {name: list(dropwhile(lambda item: "SpecialToken" in item, processor[name])) for name in ("single", "pair")}
    return {**processor, **bare}
