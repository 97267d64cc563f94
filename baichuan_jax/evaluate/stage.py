"""The evaluation stage: bits per byte on all held-out text, beside the baselines."""

from __future__ import annotations

import jax.numpy as jnp

from baichuan_jax.evaluate.baselines import unigram_bits, zstd_bits
from baichuan_jax.evaluate.bits import BitsPerByte
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.shards import TokenStore


def evaluate(
    cfg: EvaluateConfig,
    model: DecoderConfig,
    params: Params,
    store: TokenStore,
    tokenizer: AnyTokenizer,
    layout: Layout,
    dtype: jnp.dtype,
) -> dict:
    """Returns {"domains": {domain: {bits_per_byte, unigram, zstd, bytes, tokens}}}; the first three in bits/byte."""
    texts = {domain: held_out(store, domain, cfg.length, cfg.windows) for domain in store.domains}
    score = BitsPerByte(model, texts, tokenizer.byte_lengths(), layout, cfg.batch, dtype)
    bits_per_byte = score(params)
    return {
        "domains": {
            domain: {
                "bits_per_byte": bits_per_byte[domain],
                "unigram": unigram_bits(store, domain, text) / score.bytes(domain),
                "zstd": zstd_bits(tokenizer, text) / score.bytes(domain),
                "bytes": score.bytes(domain),
                "tokens": int(text.counted.sum()),
            }
            for domain, text in texts.items()
        }
    }
