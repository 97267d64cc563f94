"""Special tokens named in the files beside a tokenizer: BOS, EOS, and the ids prepended to a text."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from baichuan_jax.core.json_object import Fields, read_object

STEM = "tokenizer"
CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
NAMES = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
CHAT_TEMPLATE = "chat_template.jinja"  # which transformers reads before the field of CONFIG


def read_special_tokens(file: Path) -> dict[str, Any]:
    """Return the fields of tokenizer_config.json, completed from special_tokens_map.json.

    They apply to files named tokenizer.*: for "llama.model" the result is {}. Fields that are null are kept: null means
    that there is no such token. Raise UserError if a file is damaged, or a special token is not a text.
    """
    found: dict[str, Any] = {}
    for name in (SPECIAL, CONFIG) if file.stem == STEM else ():
        path = file.with_name(name)
        if path.is_file():
            known = read_object(path)
            _check(known, path)
            found |= known
    return found


def _check(known: dict[str, Any], path: Path) -> None:
    """Raise UserError unless the special tokens are written forms, or objects with one as their `content`."""
    Fields(known, str(path)).flag("add_bos_token", False)
    for name in NAMES:
        form = known.get(name)
        if isinstance(form, dict):
            Fields(form, f"{path}: {name}").text("content", "")
        else:
            Fields(known, str(path)).text(name, "")


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
