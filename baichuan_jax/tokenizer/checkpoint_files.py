"""The tokenizer files of a Hugging Face checkpoint: copied on import, copied or written on export."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path, write_json
from baichuan_jax.core.json_object import read_object, shown
from baichuan_jax.tokenizer.export import JSON, export_huggingface, set_begin
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.special_tokens import CHAT_TEMPLATE, SPECIAL
from baichuan_jax.tokenizer.special_tokens import CONFIG as TOKENIZER
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer

CONFIG, MODEL, GENERATION = "config.json", "tokenizer.model", "generation_config.json"
SPECIAL_FILES = (TOKENIZER, SPECIAL, GENERATION, CONFIG, CHAT_TEMPLATE)  # these name BOS and EOS, and write marks
MORE = (JSON, SPECIAL, CHAT_TEMPLATE, "added_tokens.json", "vocab.json", "merges.txt")
TAKEN = (MODEL, TOKENIZER, GENERATION, *MORE)


def copy_checkpoint_files(source: Path, directory: Path) -> list[str]:
    """Copy the config and the tokenizer files of a checkpoint; return the names of the files that exist."""
    return _copy(source, directory, (CONFIG, *TAKEN))


def write_checkpoint_files(
    origin: Path | None, file: Path, tokenizer: AnyTokenizer, context: int, directory: Path
) -> None:
    """Write the tokenizer files of a checkpoint that stock transformers can load.

    origin: a directory with the published files of the tokenizer, which are copied. Without it, or if they need custom
    code, the files are made from `file` if that is a SentencePiece model. tokenizer: loaded from `file`; the written
    files prepend BOS if it does. context: longest sequence in tokens.
    """
    if origin is not None:
        known = read_object(origin / TOKENIZER) if (origin / TOKENIZER).is_file() else {}
        if "auto_map" not in known and any((origin / name).is_file() for name in (TOKENIZER, JSON)):
            _copy(origin, directory, TAKEN)
            if load_tokenizer(file).begin != tokenizer.begin:
                set_begin(directory, tokenizer)
            return
        _copy(origin, directory, (GENERATION,))
    if file.suffix == Path(MODEL).suffix:
        with atomic_path(directory / MODEL) as partial:
            shutil.copyfile(file, partial)
        export_huggingface(file, directory, begins=bool(tokenizer.begin), context=context)


def write_chat_template(directory: Path, text: str, stops: tuple[int, ...]) -> None:
    """Give written tokenizer files a chat template. stops: ids that end an answer, which generation is told of.

    Marks are then read as ids, in any text: transformers cannot tell those of the template from those of a message.
    """
    (directory / CHAT_TEMPLATE).unlink(missing_ok=True)
    known = read_object(directory / TOKENIZER) if (directory / TOKENIZER).is_file() else {}
    write_json(directory / TOKENIZER, {**known, "chat_template": text, "split_special_tokens": False})
    ids = dict.fromkeys((*end_ids(directory), *stops))
    write_json(directory / GENERATION, {**read_object(directory / GENERATION), "eos_token_id": list(ids)})


def end_ids(directory: Path) -> tuple[int, ...]:
    """Return the EOS ids that stock transformers reads from a checkpoint; () if it has no config.

    Raise UserError if a config is damaged.
    """
    for path in (directory / GENERATION, directory / CONFIG):
        if path.is_file() and (ids := _end_ids(path)) is not None:
            return tuple(ids) if isinstance(ids, list) else (ids,)
    return ()


def _end_ids(config: Path) -> list[int] | int | None:
    ids = read_object(config).get("eos_token_id")
    if not all(isinstance(id, int) for id in (ids if isinstance(ids, list) else [ids or 0])):
        raise UserError(f"{config}: eos_token_id = {shown(ids)}: expected an id, or a list of them")
    return ids


def _copy(source: Path, directory: Path, names: Iterable[str]) -> list[str]:
    found = [name for name in names if (source / name).is_file()]
    for name in found:
        with atomic_path(directory / name) as partial:
            shutil.copyfile(source / name, partial)
    return found
