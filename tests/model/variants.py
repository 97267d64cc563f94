"""Small decoders that together use every entry of every table."""

import jax.numpy as jnp
import numpy as np

from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig


def decoder(**changes) -> DecoderConfig:
    sizes = {"vocab": 98, "layers": 2, "hidden": 32, "heads": 4, "head_dim": 8, "inner": 48, "context": 64}
    return DecoderConfig(**({"remat": "none", "init_std": 0.1} | sizes | changes))


def stretched(scaling: str, **settings) -> PositionConfig:
    return PositionConfig(scaling=scaling, factor=4.0, **settings)


VARIANTS = {
    "baichuan": decoder(),
    "no positions, relu, layer norm": decoder(
        positions=PositionConfig("none"),
        feed_forward="relu",
        norm="layer",
        layers=1,
        attention=AttentionConfig(qk_norm=True),
    ),
    "sinusoidal, gelu, tied": decoder(
        positions=PositionConfig("sinusoidal"), feed_forward="gelu", head=HeadConfig(tied=True)
    ),
    "learned, silu, tied normalised head": decoder(
        positions=PositionConfig("learned"), feed_forward="silu", head=HeadConfig(tied=True, normalised=True)
    ),
    "linear, glu, grouped": decoder(
        positions=stretched("linear"), feed_forward="glu", attention=AttentionConfig(kv_heads=2)
    ),
    "ntk, bilinear, multi-query, local": decoder(
        positions=stretched("ntk"),
        feed_forward="bilinear",
        attention=AttentionConfig(kv_heads=1, pattern=("local",), window=5),
    ),
    "yarn, reglu, strided, capped, normalised head": decoder(
        positions=stretched("yarn", original_context=16),
        feed_forward="reglu",
        attention=AttentionConfig(pattern=("strided",), window=4, soft_cap=2.0),
        head=HeadConfig(normalised=True, soft_cap=3.0),
    ),
    "relu2, grouped, queries and keys normalised": decoder(
        feed_forward="relu2", attention=AttentionConfig(kv_heads=2, qk_norm=True)
    ),
    "llama3, geglu, grouped, fixed": decoder(
        positions=stretched("llama3", original_context=16, fast=4.0),
        feed_forward="geglu",
        attention=AttentionConfig(kv_heads=2, pattern=("fixed",), window=6, summary=2),
        layers=1,
    ),
    "alibi, local and full in turn": decoder(
        positions=PositionConfig("alibi"), attention=AttentionConfig(pattern=("local", "full"), window=4), layers=4
    ),
    "alibi, strided and fixed in turn": decoder(
        positions=PositionConfig("alibi"),
        attention=AttentionConfig(kv_heads=2, pattern=("strided", "fixed"), window=3, summary=1),
    ),
}


def sees(cfg: DecoderConfig, layer: int, length: int) -> np.ndarray:
    """Return the mask of a layer, by the definitions of the patterns, one pair at a time."""
    w, c = cfg.attention.window, cfg.attention.summary
    rules = {
        "full": lambda i, j: True,
        "local": lambda i, j: i - j < w,
        "strided": lambda i, j: i - j < w or (i - j) % w == 0,
        "fixed": lambda i, j: i // w == j // w or j % w >= w - c,
    }
    rule = rules[cfg.attention.pattern[layer % len(cfg.attention.pattern)]]
    return np.array([[j <= i and rule(i, j) for j in range(length)] for i in range(length)])


def distinct_tokens(length: int) -> jnp.ndarray:
    return jnp.arange(length)[None]
