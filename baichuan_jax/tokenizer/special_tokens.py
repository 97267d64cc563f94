"""What the files of a tokenizer say of its special ids: which begin and end a text, and which are put before it."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json

STEM = "tokenizer"
CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"


def read_special_tokens(file: Path) -> dict[str, Any]:
    """Return the fields of tokenizer_config.json, and of special_tokens_map.json where the first is silent.

    They speak of a file that is called tokenizer.*: of "llama.model" nothing is said. Fields that are null stay, for
    they say that there is none. Raise UserError if a file is damaged.
    """
    found: dict[str, Any] = {}
    for name in (SPECIAL, CONFIG) if file.stem == STEM else ():
        path = file.with_name(name)
        if not path.is_file():
            continue
        try:
            known = read_json(path)
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error})") from error
        if not isinstance(known, dict):
            raise UserError(f"{path} is damaged: it holds no JSON object")
        found |= known
    return found


def written_form(known: dict[str, Any], name: str) -> str | None:
    """Return the written form of a special token, as "bos_token" gives it; None if there is none or nothing is said."""
    form = known.get(name)
    return form.get("content") if isinstance(form, dict) else form


def template_begin(processor: dict[str, Any] | None) -> tuple[int, ...]:
    """Return the ids that a tokenizer.json's post-processor, or one of a sequence of them, puts before a text."""
    found: list[int] = []
    for part in (processor, *(processor or {}).get("processors", ())):
        if not part or part.get("type") != "TemplateProcessing":
            continue
        forms = (item.get("SpecialToken", {}).get("id") for item in part["single"])
        for form in takewhile(lambda form: form is not None, forms):
            found += part["special_tokens"][form]["ids"]
    return tuple(found)


def begin_ids(bos: int | None, begins: bool, template: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return the ids before a text of a tokenizer that begins it, or does not. template: those that its file names."""
    if not begins:
        return ()
    return template or (() if bos is None else (bos,))
