"""Which chat template a run has: one of ours by name, or the one that came with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baichuan_jax.chat.config import AUTO, ChatConfig
from baichuan_jax.chat.encode import ChatTemplate
from baichuan_jax.chat.foreign import ForeignTemplate
from baichuan_jax.chat.jinja import JinjaTemplate
from baichuan_jax.chat.templates import TEMPLATES
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.json_object import Fields, shown
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.special_tokens import CHAT_TEMPLATE, CONFIG, STEM, read_special_tokens, written_form


def load_chat_template(cfg: ChatConfig, tokenizer: AnyTokenizer, file: Path) -> ChatTemplate:
    """Return the template of a config. file: of the tokenizer.

    Raise UserError if none is there, or if the tokenizer lacks a mark that it needs.
    """
    forms = {id: form for form, id in tokenizer.specials.items()}
    thinking = {} if cfg.thinking is None else {"enable_thinking": cfg.thinking}
    if cfg.template != AUTO:
        if lacks := _lacks(cfg.template, tokenizer):
            raise UserError(
                f"ChatConfig.template = {cfg.template!r}: the tokenizer has no special token {', '.join(lacks)}; "
                f"{_fitting(tokenizer)}"
            )
        text = TEMPLATES[cfg.template].text
        render = JinjaTemplate(text, {"eos_token": forms.get(tokenizer.eos, ""), **thinking})
        return ChatTemplate(cfg.template, text, render, tokenizer, tokenizer.begin)
    known = read_special_tokens(file)
    place, text = _found(file, known)
    if not text:
        raise UserError(
            f"ChatConfig.template = 'auto': there is no chat template beside {file} ({CHAT_TEMPLATE}, or chat_template "
            f"in {CONFIG}); {_fitting(tokenizer)}"
        )
    named = {name: written_form(known, name) for name in known if name.endswith("_token")}
    ours = {"bos_token": forms.get(tokenizer.bos, ""), "eos_token": forms.get(tokenizer.eos, "")}
    variables = {name: form for name, form in (ours | named).items() if isinstance(form, str)}
    return ChatTemplate(place, text, ForeignTemplate(place, text, variables | thinking), tokenizer)


def exported_template(cfg: ChatConfig, tokenizer: AnyTokenizer) -> str:
    """Return one of our templates for stock transformers to write the same text: with BOS and `cfg.thinking` in it."""
    thinking = "" if cfg.thinking is None else f"{{%- set enable_thinking = {str(cfg.thinking).lower()} %}}"
    return ("{{- bos_token }}" if tokenizer.begin else "") + thinking + TEMPLATES[cfg.template].text


def _found(file: Path, known: dict[str, Any]) -> tuple[str, str]:
    """Return the place and the text of the template beside a tokenizer file; the text is "" without one."""
    beside = file.with_name(CHAT_TEMPLATE)
    if file.stem == STEM and beside.is_file():
        try:
            return str(beside), beside.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{beside}: not UTF-8 at byte {error.start}") from error
    place, several = str(file.with_name(CONFIG)), known.get("chat_template")
    if not isinstance(several, list):
        return place, Fields(known, place).text("chat_template", "")
    named = {}
    for each in several:  # by name, as transformers had them
        if not isinstance(each, dict):
            raise UserError(f"{place}: chat_template: expected objects with a name and a template, found {shown(each)}")
        fields = Fields(each, f"{place}: chat_template")
        named[fields.text("name")] = fields.text("template")
    return place, named.get("default", "")


def _lacks(name: str, tokenizer: AnyTokenizer) -> list[str]:
    """Return the special tokens that a template needs and a tokenizer does not have."""
    lacks = [mark for mark in TEMPLATES[name].marks if mark not in tokenizer.specials]
    without_end = "eos_token" in TEMPLATES[name].text and tokenizer.eos not in tokenizer.specials.values()
    return [*lacks, *(["that ends a text (EOS)"] if without_end else [])]


def _fitting(tokenizer: AnyTokenizer) -> str:
    """Return which of our templates a tokenizer can serve."""
    names = [name for name in TEMPLATES if not _lacks(name, tokenizer)]
    return f"templates that it can serve: {', '.join(names) or 'none'}"
