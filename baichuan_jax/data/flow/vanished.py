"""Domains with too few documents left: reported as early as possible, with the reasons and the option that helps."""

from __future__ import annotations

from collections.abc import Mapping

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.funnel import Funnel

FEWEST = 2  # documents of a domain: one to train and one to validate on
SPLIT = "a .txt file is one document: split it, or write JSON lines"
# Reasons of input that could not be read: their samples say where and why.
UNREAD = (
    "no_text_field",
    "not_json",
    "not_csv",
    "no_main_text",
    "hostile_page",
    "unreadable_file",
    "truncated_file",
    "file_too_long",
    "line_too_long",
)


def refuse(cfg: DataConfig, funnels: Mapping[str, Funnel]) -> None:
    """Raise UserError if fewer than FEWEST documents of a domain are kept; it names all such domains and what to do."""
    vanished = {domain: funnel for domain, funnel in funnels.items() if funnel.kept.documents < FEWEST}
    if vanished:
        said = [_said(cfg, domain, funnel) for domain, funnel in vanished.items()]
        raise UserError("\n".join([*said, _way_on(cfg, vanished)]))


def _said(cfg: DataConfig, domain: str, funnel: Funnel) -> str:
    """Return what became of the documents of a domain."""
    parts = [
        f"DataConfig.sources[{domain!r}] = {cfg.sources[domain]!r}: {funnel.kept.documents} of "
        f"{funnel.read.documents:,} documents left, expected at least {FEWEST}, to train and to validate on; "
        f"removed: {funnel.reasons() or 'none'}"
    ]
    if "no_text_field" in funnel.removed and funnel.fields:
        longest = sorted(funnel.fields, key=lambda name: -funnel.fields[name])
        parts.append(f"fields: {', '.join(longest):.200}; {longest[0]!r} holds the most text")
    unread = [reason for reason in UNREAD if reason in funnel.removed]
    parts += [f"{reason}: {funnel.removed[reason].samples[0]['source']}" for reason in unread]
    if funnel.replaced and domain in cfg.encodings:
        named = f"{cfg.encodings[domain]!r}, set in DataConfig.encodings"
        parts.append(f"{funnel.replaced:,} characters are invalid in {named}; remove the entry to detect the encoding")
    if "too_short" in funnel.removed or (funnel.read.documents == funnel.kept.documents == 1):
        parts.append(SPLIT)
    return "; ".join(parts)


def _way_on(cfg: DataConfig, vanished: Mapping[str, Funnel]) -> str:
    """Return the option that helps, or that leaves the domains out."""
    fields = {
        domain: max(funnel.fields, key=lambda name: funnel.fields[name])
        for domain, funnel in vanished.items()
        if "no_text_field" in funnel.removed and any(funnel.fields.values())
    }
    skip = "to leave such domains out: --set RunnerConfig.vanished=skip"
    if not fields:
        return skip[0].upper() + skip[1:]
    named = {**cfg.text_fields, **fields}
    return f'Give the same command with --set "DataConfig.text_fields={named!r}"; or, {skip}'
