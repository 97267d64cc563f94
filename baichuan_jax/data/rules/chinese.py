"""Traditional and simplified characters, converted by OpenCC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.extras import install_extra

CONFIGS = {"simplified": "t2s", "traditional": "s2t"}


def converter(chinese: Literal["keep", "simplified", "traditional"]) -> Callable[[str], str] | None:
    """Return a function that converts a Chinese text, phrase by phrase, or None for "keep".

    Raise UserError if OpenCC is needed and not installed.
    """
    if chinese == "keep":
        return None
    try:
        from opencc import OpenCC
    except ImportError:
        raise UserError(f"FilterConfig.chinese = {chinese!r} needs OpenCC: {install_extra('chinese')}") from None
    return OpenCC(CONFIGS[chinese]).convert
