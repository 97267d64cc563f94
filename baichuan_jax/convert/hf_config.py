"""Convert config.json of a published checkpoint to DecoderConfig. Refuse, by name, features not computed exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baichuan_jax.convert.layouts import LayoutName
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.json_object import Fields, shown
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig

# Baichuan-7B has the first of the two spellings, all later models the second.
ARCHITECTURES: dict[str, LayoutName] = {
    "LlamaForCausalLM": "llama",
    "BaiChuanForCausalLM": "baichuan",
    "BaichuanForCausalLM": "baichuan",
}
BAICHUAN_2_VOCAB = 125_696
# The only supported values of these fields, apart from absent or null.
ONLY = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "quantization_config": None,
    "sliding_window": None,
}
ONLY_YARN = {"truncate": True, "mscale": None, "mscale_all_dim": None}


def read_config(config: dict[str, Any], path: Path) -> tuple[LayoutName, DecoderConfig]:
    """Return the tensor layout and the decoder that config.json describes.

    path: of the file, for messages. Raise UserError on an unknown architecture, a missing field, a field of the wrong
    type, or a feature that is not computed exactly.
    """
    layout, fields = _layout(config, path), Fields(config, str(path))
    fields.only(ONLY)
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    head_dim = fields.integer("head_dim", hidden // heads)
    if "head_dim" not in fields and hidden % heads:
        raise UserError(f"{path}: hidden_size = {hidden} is not divisible by num_attention_heads = {heads}")
    kv_heads = fields.integer("num_key_value_heads", heads)
    shape = {
        "vocab": fields.integer("vocab_size"),
        "layers": fields.integer("num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "head_dim": head_dim,
        "inner": fields.integer("intermediate_size"),
        "norm_eps": fields.number("rms_norm_eps", 1e-6),
        "init_std": fields.number("initializer_range", 0.02),
        "attention": AttentionConfig(kv_heads=0 if kv_heads == heads else kv_heads),
    }
    return layout, (_llama if layout == "llama" else _baichuan)(config, fields, shape)


def _layout(config: dict[str, Any], path: Path) -> LayoutName:
    named = config.get("architectures")
    if not named and config.get("model_type") in ("llama", "baichuan"):
        return config["model_type"]
    name = named[0] if isinstance(named, list) and named else named
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise UserError(
            f"{path}: architectures = {shown(named)} is not supported; supported: {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _llama(config: dict[str, Any], fields: Fields, shape: dict[str, Any]) -> DecoderConfig:
    context = fields.integer("max_position_embeddings", 2048)
    head = HeadConfig(tied=fields.flag("tie_word_embeddings", False))
    return DecoderConfig(**shape, context=context, positions=_rope(config, fields, context), head=head)


def _baichuan(config: dict[str, Any], fields: Fields, shape: dict[str, Any]) -> DecoderConfig:
    """Return the decoder. 7B has RoPE and max_position_embeddings, 13B ALiBi and no such field; Baichuan 2 NormHead."""
    if shape["attention"].kv_heads:
        raise UserError(f"{fields.where}: num_key_value_heads must equal num_attention_heads in the layout with W_pack")
    rotary = "max_position_embeddings" in fields or "BaiChuanForCausalLM" in (config.get("architectures") or ())
    context = fields.integer("max_position_embeddings", fields.integer("model_max_length", 4096))
    positions = _rope(config, fields, context) if rotary else PositionConfig(kind="alibi")
    normalised = "z_loss_weight" in config or shape["vocab"] == BAICHUAN_2_VOCAB
    head = HeadConfig(tied=fields.flag("tie_word_embeddings", False), normalised=normalised)
    return DecoderConfig(**shape, context=context, positions=positions, head=head)


def _rope(config: dict[str, Any], fields: Fields, context: int) -> PositionConfig:
    """Read rope_theta and rope_scaling, or rope_parameters, which holds both from transformers 5 on."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        raise UserError(f"{fields.where}: rope_scaling = {shown(scaling)}: expected an object")
    inner = Fields(scaling, f"{fields.where}: rope_scaling")
    base = inner.number("rope_theta", fields.number("rope_theta", 10_000.0))
    kind = inner.text("rope_type", inner.text("type", "default"))
    if kind not in SCALINGS:
        raise UserError(f"{fields.where}: rope type {kind!r} is not supported; supported: {', '.join(SCALINGS)}")
    inner.only({"partial_rotary_factor": 1.0})
    return PositionConfig(rope_base=base, **SCALINGS[kind](inner, context))


def _yarn(fields: Fields, context: int) -> dict[str, Any]:
    fields.only(ONLY_YARN)
    return {
        "scaling": "yarn",
        "factor": fields.number("factor"),
        "original_context": fields.integer("original_max_position_embeddings", context),
        "fast": fields.number("beta_fast", 32.0),
        "slow": fields.number("beta_slow", 1.0),
        "attention_factor": fields.number("attention_factor") if "attention_factor" in fields else 0.0,
    }


def _llama3(fields: Fields, context: int) -> dict[str, Any]:
    return {
        "scaling": "llama3",
        "factor": fields.number("factor"),
        "original_context": fields.integer("original_max_position_embeddings", context),
        "fast": fields.number("high_freq_factor"),
        "slow": fields.number("low_freq_factor"),
    }


SCALINGS = {
    "default": lambda fields, context: {},
    "linear": lambda fields, context: {"scaling": "linear", "factor": fields.number("factor")},
    "yarn": _yarn,
    "llama3": _llama3,
}
