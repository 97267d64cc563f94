"""Special tokens named in the files beside a tokenizer: BOS, EOS, and the ids prepended to a text."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json

STEM = "tokenizer"
CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
CHAT_TEMPLATE = "chat_template.jinja"  # which transformers reads before the field of CONFIG


def read_special_tokens(file: Path) -> dict[str, Any]:
    """Return the fields of tokenizer_config.json, completed from special_tokens_map.json.

    They apply to files named tokenizer.*: for "llama.model" the result is {}. Fields that are null are kept: null means
    that there is no such token. Raise UserError if a file is damaged.
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
            raise UserError(f"{path} is damaged: it is not a JSON object")
        found |= known
    return found


def written_form(known: dict[str, Any], name: str) -> str | None:
    """Return the written form of a special token by its field, as "bos_token"; None if it is null or absent."""
    form = known.get(name)
    return form.get("content") if isinstance(form, dict) else form


def template_begin(processor: dict[str, Any] | None) -> tuple[int, ...]:
    """Return the ids that the post-processor of a tokenizer.json, or a sequence of them, prepends to a text."""
    found: list[int] = []
    for part in (processor, *(processor or {}).get("processors", ())):
        if not part or part.get("type") != "TemplateProcessing":
            continue
        forms = (item.get("SpecialToken", {}).get("id") for item in part["single"])
        for form in takewhile(lambda form: form is not None, forms):
            found += part["special_tokens"][form]["ids"]
    return tuple(found)


def begin_ids(bos: int | None, begins: bool, template: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return the ids prepended to a text: () unless `begins`, else those of a post-processor's template, else BOS."""
    if not begins:
        return ()
    return template or (() if bos is None else (bos,))
