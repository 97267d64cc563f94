"""Convert DecoderConfig to config.json, if a published architecture can express the decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from baichuan_jax.convert.hf_config import BAICHUAN_2_VOCAB
from baichuan_jax.convert.layouts import LayoutName
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig, HeadConfig, PositionConfig
from baichuan_jax.model.feedforward import inner_size
from baichuan_jax.model.positions import ntk_base


def publish(cfg: DecoderConfig, layout: LayoutName) -> DecoderConfig:
    """Return an equivalent decoder that the layout can express.

    NTK-aware scaling becomes a larger RoPE base. LLaMA has no NormHead, so the head is stored normalised and untied.
    Raise UserError, naming the setting, if the layout cannot express the decoder.
    """
    _check(cfg, layout)
    cfg = replace(cfg, inner=inner_size(cfg))
    if cfg.positions.scaling == "ntk":
        cfg = replace(cfg, positions=PositionConfig(rope_base=ntk_base(cfg.positions, cfg.head_dim)))
    if layout == "llama" and cfg.head.normalised:
        cfg = replace(cfg, head=HeadConfig())
    return cfg


def _check(cfg: DecoderConfig, layout: LayoutName) -> None:
    attention, head, positions = cfg.attention, cfg.head, cfg.positions
    _only(layout, "DecoderConfig.feed_forward", cfg.feed_forward, "swiglu")
    _only(layout, "DecoderConfig.norm", cfg.norm, "rms")
    _only(layout, "AttentionConfig.pattern", tuple(dict.fromkeys(attention.pattern)), ("full",))
    _only(layout, "AttentionConfig.soft_cap", attention.soft_cap, 0.0)
    _only(layout, "AttentionConfig.qk_norm", attention.qk_norm, False)
    _only(layout, "HeadConfig.soft_cap", head.soft_cap, 0.0)
    if layout == "llama":
        _only(layout, "PositionConfig.kind", positions.kind, "rope")
        return
    _only(layout, "PositionConfig.kind", positions.kind, "rope", "alibi")
    _only(layout, "PositionConfig.scaling", positions.scaling, "none", "ntk")
    _only(layout, "AttentionConfig.kv_heads", cfg.kv_heads, cfg.heads)
    _only(layout, "DecoderConfig.head_dim", cfg.head_dim, cfg.hidden // cfg.heads)
    if head.normalised or cfg.vocab == BAICHUAN_2_VOCAB:
        _only(layout, "HeadConfig.tied", head.tied, False)
        _only(layout, "HeadConfig.normalised", head.normalised, True)


def _only(layout: LayoutName, name: str, value: Any, *known: Any) -> None:
    if value not in known:
        raise UserError(f"{name} = {value!r}: the layout {layout!r} supports only {' or '.join(map(repr, known))}")


def write_config(cfg: DecoderConfig, layout: LayoutName, dtype: str) -> dict[str, Any]:
    """Return the contents of config.json for a decoder returned by `publish`. dtype: of the tensors.

    BOS and EOS are not included: they belong to the tokenizer files.
    """
    common = {
        "vocab_size": cfg.vocab,
        "hidden_size": cfg.hidden,
        "intermediate_size": cfg.inner,
        "num_hidden_layers": cfg.layers,
        "num_attention_heads": cfg.heads,
        "hidden_act": "silu",
        "rms_norm_eps": cfg.norm_eps,
        "initializer_range": cfg.init_std,
        "tie_word_embeddings": cfg.head.tied,
        "use_cache": True,
        "torch_dtype": dtype,
    }
    return (_llama if layout == "llama" else _baichuan)(cfg, common)


def _llama(cfg: DecoderConfig, common: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **common,
        "num_key_value_heads": cfg.kv_heads,
        "head_dim": cfg.head_dim,
        "max_position_embeddings": cfg.context,
        "rope_theta": cfg.positions.rope_base,
        "rope_scaling": _rope_scaling(cfg.positions),
        "attention_bias": False,
        "mlp_bias": False,
    }


def _rope_scaling(cfg: PositionConfig) -> dict[str, Any] | None:
    if cfg.scaling == "none":
        return None
    found = {"rope_type": cfg.scaling, "factor": cfg.factor}
    if cfg.scaling != "linear":
        found["original_max_position_embeddings"] = cfg.original_context
        fast, slow = ("beta_fast", "beta_slow") if cfg.scaling == "yarn" else ("high_freq_factor", "low_freq_factor")
        found |= {fast: cfg.fast, slow: cfg.slow}
    if cfg.attention_factor:
        found["attention_factor"] = cfg.attention_factor
    return found


def _baichuan(cfg: DecoderConfig, common: dict[str, Any]) -> dict[str, Any]:
    """Return config.json such that the importer tells Baichuan-7B from later models by it."""
    rotary = cfg.positions.kind == "rope"
    first = rotary and not cfg.head.normalised
    found = {
        "architectures": ["BaiChuanForCausalLM" if first else "BaichuanForCausalLM"],
        "model_type": "baichuan",
        **common,
        "max_position_embeddings" if rotary else "model_max_length": cfg.context,
    }
    if rotary and cfg.positions.rope_base != PositionConfig.rope_base:
        found["rope_theta"] = cfg.positions.rope_base  # the published code ignores it: its base is fixed
    if cfg.head.normalised:
        found["z_loss_weight"] = 0
    return found
