"""The evaluation stage: bits per byte on all held-out text, with baselines."""

from __future__ import annotations

from baichuan_jax.evaluate.baselines import unigram_bits, zstd_bits
from baichuan_jax.evaluate.bits import BitsPerByte, by_position
from baichuan_jax.evaluate.config import EvaluateConfig
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.execution import Execution
from baichuan_jax.tokenizer.interface import AnyTokenizer
from baichuan_jax.tokenizer.shards import TokenStore


def evaluate(
    cfg: EvaluateConfig,
    model_cfg: DecoderConfig,
    params: Params,
    store: TokenStore,
    tokenizer: AnyTokenizer,
    exe: Execution,
) -> tuple[dict, dict]:
    """Return {"domains": {domain: {bits_per_byte, unigram, zstd, by_position, bytes, tokens}}}, and those of windows.

    The first three are in bits/byte. by_position: of `bits.by_position`. Of windows: {domain: {bits, bytes}}, lists.
    """
    texts = {domain: held_out(store, domain, cfg.length, cfg.windows) for domain in store.domains}
    score = BitsPerByte(model_cfg, texts, tokenizer.byte_lengths(), exe, cfg.batch)
    bits = score.bits(params)
    windows = {
        domain: {"bits": bits[domain].by_window.tolist(), "bytes": score.bytes_of_windows(domain).tolist()}
        for domain in texts
    }
    found = {
        "domains": {
            domain: {
                "bits_per_byte": float(bits[domain].by_position.sum()) / score.bytes(domain),
                "unigram": unigram_bits(store, domain, text) / score.bytes(domain),
                "zstd": zstd_bits(tokenizer, text) / score.bytes(domain),
                "by_position": by_position(bits[domain].by_position, score.bytes_at(domain)),
                "bytes": score.bytes(domain),
                "tokens": int(text.counted.sum()),
            }
            for domain, text in texts.items()
        }
    }
    return found, windows
