"""The tokenizer files of a Hugging Face checkpoint: taken over as they are, or written for a model of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path, read_json, write_json
from baichuan_jax.tokenizer.export import JSON, export_huggingface
from baichuan_jax.tokenizer.model_file import USER_DEFINED, parse
from baichuan_jax.tokenizer.tokenizer import SPACE_MARK

CONFIG, MODEL, TOKENIZER, GENERATION = (
    "config.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "generation_config.json",
)
MORE = (JSON, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
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
        if "auto_map" not in known and any((origin / name).is_file() for name in (TOKENIZER, JSON)):
            _copy(origin, directory, TAKEN)
            return
        _copy(origin, directory, (GENERATION,))
    if tokenizer.is_file() and tokenizer.suffix == Path(MODEL).suffix:
        _write(tokenizer, context, directory)


def tokenizer_file(directory: Path) -> Path:
    """Returns the file of a tokenizer, of those that a run may use; where there is none, the one that is missed."""
    found = [directory / name for name in (MODEL, JSON) if (directory / name).is_file()]
    return (found or [directory / MODEL])[0]


def end_ids(directory: Path) -> tuple[int, ...]:
    """Returns the ids of which any ends a text in stock transformers; none if no config of a checkpoint is there.

    Raises UserError if a config is damaged.
    """
    for path in (directory / GENERATION, directory / CONFIG):
        if path.is_file() and (ids := _end_ids(path)) is not None:
            return tuple(ids) if isinstance(ids, list) else (ids,)
    return ()


def _end_ids(config: Path) -> list[int] | int | None:
    try:
        ids = read_json(config).get("eos_token_id")
    except (AttributeError, ValueError) as error:
        raise UserError(f"{config} is damaged ({error})") from error
    if not all(isinstance(id, int) for id in (ids if isinstance(ids, list) else [ids or 0])):
        raise UserError(f"{config}: eos_token_id = {ids!r}: expected an id, or a list of them")
    return ids


def _copy(source: Path, directory: Path, names: Iterable[str]) -> list[str]:
    found = [name for name in names if (source / name).is_file()]
    for name in found:
        with atomic_path(directory / name) as partial:
            shutil.copyfile(source / name, partial)
    return found


def _write(model: Path, context: int, directory: Path) -> None:
    """Writes the files of `export_huggingface`, with `<s>` before a text, as the decoder was trained on it.

    A model of others may put a space before a text: then so does what is written, unless the text begins with a symbol
    that is matched before all merges.
    """
    with atomic_path(directory / MODEL) as partial:
        shutil.copyfile(model, partial)
    export_huggingface(model, directory)
    parsed = parse(model.read_bytes())
    content, begin = read_json(directory / JSON), parsed.pieces[1].piece
    text = lambda name: [{"Sequence": {"id": name, "type_id": 0}}]
    start = [{"SpecialToken": {"id": begin, "type_id": 0}}]
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": start + text("A"),
        "pair": start + text("A") + text("B"),
        "special_tokens": {begin: {"id": begin, "ids": [1], "tokens": [begin]}},
    }
    if parsed.normalizer_spec.add_dummy_prefix:
        content["decoder"]["decoders"].append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
        if any(piece.type == USER_DEFINED for piece in parsed.pieces):  # they part a text: only its first part is meant
            first = {"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "first", "split": False}
            content |= {"normalizer": None, "pre_tokenizer": first}
        else:
            before = {"type": "Prepend", "prepend": SPACE_MARK}
            content["normalizer"] = {"type": "Sequence", "normalizers": [before, content["normalizer"]]}
    write_json(directory / JSON, content)
    write_json(directory / TOKENIZER, {**read_json(directory / TOKENIZER), "model_max_length": context})
