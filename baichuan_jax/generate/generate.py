"""Continuing texts with a KV cache. B prompts, P padded prompt length, S cache length, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from baichuan_jax.core.errors import require
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.sampling import choose
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, apply_cached, init_cache
from baichuan_jax.tokenizer.interface import AnyTokenizer


def generate(
    cfg: SampleConfig,
    model: DecoderConfig,
    params: Params,
    tokenizer: AnyTokenizer,
    prompts: Sequence[str],
    dtype: jnp.dtype = jnp.float32,
) -> list[str]:
    """Returns the continuation of each prompt, up to `</s>` or max_tokens, without the prompt.

    Raises UserError if a prompt and its continuation would not fit the model's context.
    """
    ids = [[tokenizer.bos, *tokenizer.encode(prompt)] for prompt in prompts]
    longest = max(map(len, ids))
    fits = longest + cfg.max_tokens <= model.context
    require(fits, "SampleConfig.max_tokens", cfg.max_tokens, f"at most {model.context - longest} after this prompt")
    # Padding to powers of two bounds the number of shapes that are ever compiled.
    padded = min(1 << (longest - 1).bit_length(), model.context - cfg.max_tokens)
    tokens_BP = np.full((len(ids), padded), tokenizer.eos, np.int32)
    for row, prompt in enumerate(ids):
        tokens_BP[row, : len(prompt)] = prompt
    lengths_B = jnp.array([len(prompt) for prompt in ids])
    new = _continue(cfg, model, tokenizer.eos, dtype, params, tokens_BP, lengths_B, jax.random.key(cfg.seed))
    return [tokenizer.decode(_until(row, tokenizer.eos)) for row in np.asarray(new).tolist()]


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _continue(
    cfg: SampleConfig,
    model: DecoderConfig,
    eos: int,
    dtype: jnp.dtype,
    params: Params,
    tokens_BP: jax.Array,
    lengths_B: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """Returns int32 [B, max_tokens]: new ids, `eos` after a row's end."""
    batch, padded = tokens_BP.shape
    size = padded + cfg.max_tokens
    cache = init_cache(model, batch, size, dtype)
    place_BP = jnp.broadcast_to(jnp.arange(padded), (batch, padded))
    positions_BP = jnp.where(place_BP < lengths_B[:, None], place_BP, size)  # past the end: padding
    logits_BPV, cache = apply_cached(model, params, tokens_BP, positions_BP, cache, dtype=dtype)
    logits_BV = jnp.take_along_axis(logits_BPV, lengths_B[:, None, None] - 1, axis=1)[:, 0]

    def step(carry: tuple, number: jax.Array) -> tuple[tuple, jax.Array]:
        logits_BV, cache, ended_B = carry
        drawn_B = choose(logits_BV, jax.random.fold_in(key, number), cfg.temperature, cfg.top_p)
        token_B = jnp.where(ended_B, eos, drawn_B)
        position_B1 = (lengths_B + number)[:, None]
        logits_B1V, cache = apply_cached(model, params, token_B[:, None], position_B1, cache, dtype=dtype)
        return (logits_B1V[:, 0], cache, ended_B | (token_B == eos)), token_B

    start = (logits_BV, cache, jnp.zeros(batch, bool))
    return jax.lax.scan(step, start, jnp.arange(cfg.max_tokens))[1].T
