"""What computes full causal attention; `IMPLEMENTATIONS` is the table. Sparse patterns are in patterns.py.

B batch, T positions, K key/value heads, G query heads of each, H head size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from baichuan_jax.core.errors import require
from baichuan_jax.model.attention.blockwise import attend_blockwise
from baichuan_jax.model.attention.cudnn import attend_cudnn, refused_by_cudnn
from baichuan_jax.model.attention.scores import Scores
from baichuan_jax.model.attention.splash import attend_splash, refused_by_splash
from baichuan_jax.model.attention.xla import attend_xla
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.execution import Execution

DENSE_LENGTH = 1024  # up to here, the loop of blocks costs more than the scores that it leaves out


class Implementation(NamedTuple):
    """attend(q_BTKGH, k_BTKH, v_BTKH, scores, segments_BT, exe) -> y_BTKGH.

    refuses(cfg, length, dtype, segments): why it cannot compute this, or "". platform: the only one it runs on, if any.
    """

    attend: Callable[..., jax.Array]
    refuses: Callable[[DecoderConfig, int, jnp.dtype, bool], str] = lambda cfg, length, dtype, segments: ""
    platform: str = ""


IMPLEMENTATIONS = {
    "xla": Implementation(attend_xla),
    "chunked": Implementation(attend_blockwise),
    "cudnn": Implementation(attend_cudnn, refused_by_cudnn, "gpu"),
    "splash": Implementation(attend_splash, refused_by_splash, "tpu"),
}


def choose_implementation(cfg: DecoderConfig, length: int, exe: Execution, segments: bool = False) -> str:
    """Return which implementation computes sequences of `length`. Raise UserError where the one named cannot run.

    "auto" is the platform's own where it can compute all that the config asks for. Otherwise it is "xla" for short
    sequences and "chunked" for long ones. segments: whether documents are kept apart.
    """
    name, dtype = cfg.attention.implementation, exe.dtype
    if name == "auto":
        own = [each for each, found in IMPLEMENTATIONS.items() if found.platform == exe.platform]
        fitting = [each for each in own if not IMPLEMENTATIONS[each].refuses(cfg, length, dtype, segments)]
        return [*fitting, "xla" if length <= DENSE_LENGTH else "chunked"][0]
    found, hint = IMPLEMENTATIONS[name], "'chunked' runs everywhere"
    fits = found.platform in ("", exe.platform)
    expected = f"one for {exe.platform}: it needs a {found.platform}"
    require(fits, "AttentionConfig.implementation", name, expected, hint)
    reason = found.refuses(cfg, length, dtype, segments)
    require(not reason, "AttentionConfig.implementation", name, f"another one: it {reason}", hint)
    return name


def attend_full(
    q_BTKGH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    cfg: DecoderConfig,
    scores: Scores,
    segments_BT: jax.Array | None,
    exe: Execution,
) -> jax.Array:
    """Return y_BTKGH of full causal attention over whole sequences, by the implementation that the config names."""
    name = choose_implementation(cfg, q_BTKGH.shape[1], exe, segments_BT is not None)
    return IMPLEMENTATIONS[name].attend(q_BTKGH, k_BTKH, v_BTKH, scores, segments_BT, exe)
