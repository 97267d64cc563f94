"""Reference forward pass in numpy from the published tensors: slow, simple, float32.

B batch, T query positions, S key positions, D hidden, N heads, K key/value heads, H head size, V vocabulary.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from baichuan_jax.convert.layouts import LayoutName
from baichuan_jax.convert.source import Source
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.positions import alibi_slopes, rotations

ROWS = 8192  # of the head at once


def reference_logits(source: Source, cfg: DecoderConfig, layout: LayoutName, tokens_BT: np.ndarray) -> np.ndarray:
    """Return logits_BTV of a checkpoint of this config (`read_config`); one matrix is in memory at a time."""

    def tensor(name: str) -> np.ndarray:
        return source.rows(name, 0, source.tensors[name].shape[0]).astype(np.float32)

    table = "model.embed_tokens.weight"
    vectors = [source.rows(table, int(token), int(token) + 1)[0] for token in tokens_BT.flat]
    x_BTD = np.stack(vectors).astype(np.float32).reshape(*tokens_BT.shape, cfg.hidden)
    for number in range(cfg.layers):
        weight = lambda name, number=number: tensor(f"model.layers.{number}.{name}.weight")
        normal_BTD = _rms(x_BTD, weight("input_layernorm"), cfg.norm_eps)
        if layout == "baichuan":
            q, k, v = np.split(normal_BTD @ weight("self_attn.W_pack").T, 3, axis=-1)
        else:
            q, k, v = (normal_BTD @ weight(f"self_attn.{name}_proj").T for name in "qkv")
        x_BTD = x_BTD + _attend(cfg, q, k, v) @ weight("self_attn.o_proj").T
        normal_BTD = _rms(x_BTD, weight("post_attention_layernorm"), cfg.norm_eps)
        gate_BTF, up_BTF = (normal_BTD @ weight(f"mlp.{name}_proj").T for name in ("gate", "up"))
        x_BTD = x_BTD + (gate_BTF / (1 + np.exp(-gate_BTF)) * up_BTF) @ weight("mlp.down_proj").T
    x_BTD = _rms(x_BTD, tensor("model.norm.weight"), cfg.norm_eps)
    head = table if cfg.head.tied else "lm_head.weight"
    starts = range(0, cfg.vocab, ROWS)
    rows = (source.rows(head, start, min(start + ROWS, cfg.vocab)).astype(np.float32) for start in starts)
    return np.concatenate([x_BTD @ (_unit(r) if cfg.head.normalised else r).T for r in rows], axis=-1)


def _rms(x_BTD: np.ndarray, scale_D: np.ndarray, eps: float) -> np.ndarray:
    return x_BTD / np.sqrt(np.mean(x_BTD**2, axis=-1, keepdims=True) + eps) * scale_D


def _unit(rows_VD: np.ndarray) -> np.ndarray:
    return rows_VD / np.maximum(np.linalg.norm(rows_VD, axis=-1, keepdims=True), 1e-12)


def _attend(cfg: DecoderConfig, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return [B, T, N * H] of q [B, T, N * H] and k, v [B, T, K * H]."""
    batch, length = q.shape[:2]
    place_T = np.arange(length)
    q_BTNH = q.reshape(batch, length, cfg.heads, cfg.head_dim)
    k_BSNH, v_BSNH = (
        np.repeat(x.reshape(batch, length, cfg.kv_heads, cfg.head_dim), cfg.heads // cfg.kv_heads, axis=2)
        for x in (k, v)
    )
    if cfg.positions.kind == "rope":
        q_BTNH, k_BSNH = (_rotate(cfg, x) for x in (q_BTNH, k_BSNH))
    scores_BNTS = np.einsum("BTNH,BSNH->BNTS", q_BTNH, k_BSNH) / np.sqrt(cfg.head_dim)
    if cfg.positions.kind == "alibi":
        slopes_N11 = np.array(alibi_slopes(cfg.heads), np.float32)[:, None, None]
        scores_BNTS -= slopes_N11 * (place_T[:, None] - place_T)
    scores_BNTS = np.where(place_T[:, None] >= place_T[None], scores_BNTS, -np.inf)
    weights_BNTS = np.exp(scores_BNTS - scores_BNTS.max(axis=-1, keepdims=True))
    weights_BNTS /= weights_BNTS.sum(axis=-1, keepdims=True)
    return np.einsum("BNTS,BSNH->BTNH", weights_BNTS, v_BSNH).reshape(batch, length, -1)


def _rotate(cfg: DecoderConfig, x_BTNH: np.ndarray) -> np.ndarray:
    """x cos + rotate_half(x) sin."""
    angles = rotations(jnp.arange(x_BTNH.shape[1])[None], cfg.head_dim, cfg.positions)
    cos, sin = (np.concatenate([part, part], axis=-1) for part in map(np.asarray, angles))
    left, right = np.split(x_BTNH, 2, axis=-1)
    return x_BTNH * cos + np.concatenate([-right, left], axis=-1) * sin
