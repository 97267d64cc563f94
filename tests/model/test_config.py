"""Presets have their parameters, and settings that make no sense are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_jax.config.load import load
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, PositionConfig
from baichuan_jax.model.decoder import parameter_count
from baichuan_jax.recipe.run_config import RunConfig
from tests.model.variants import decoder

MODELS = Path(__file__).parents[2] / "configs/model"
FIXED = AttentionConfig(pattern=("fixed",), window=4, summary=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: decoder(head_dim=7), r"DecoderConfig.head_dim = 7: expected an even size \(RoPE rotates pairs\)"),
        (lambda: decoder(layers=3, attention=replace(FIXED, pattern=("fixed", "full"))), "pattern.*divide.*layers = 3"),
        (lambda: decoder(attention=AttentionConfig(kv_heads=3)), "kv_heads = 3: expected a divisor of .*heads = 4"),
        (lambda: decoder(hidden=33, positions=PositionConfig("sinusoidal")), "hidden = 33: expected even"),
        (lambda: decoder(hidden=40, inner=0), "hidden = 40: expected a multiple of 32"),
        (lambda: PositionConfig("alibi", scaling="ntk", factor=2.0), "scaling = 'ntk'.*only .*kind = 'rope' reads it"),
        (lambda: PositionConfig("none", rope_base=5e5), "rope_base = 500000.0.*only .*kind = 'rope' reads it"),
        (lambda: PositionConfig(factor=2.0), "factor = 2.0: .*scaling = 'none' does not read it"),
        (lambda: PositionConfig(scaling="linear", factor=2.0, fast=4.0), "fast = 4.0: .*'linear' does not read it"),
        (lambda: PositionConfig(scaling="yarn", factor=2.0), "original_context = 0: expected the context before"),
        (lambda: PositionConfig(scaling="linear", factor=0.5), "factor = 0.5: expected 1 or more"),
        (lambda: AttentionConfig(pattern=("local",)), "window = 0: expected positions, for a sparse pattern"),
        (lambda: AttentionConfig(window=8), "window = 8: expected 0: .*'full' in every layer"),
        (lambda: AttentionConfig(pattern=("local",), window=8, summary=1), "summary = 1: .*only the pattern 'fixed'"),
        (lambda: AttentionConfig(pattern=("fixed",), window=8, summary=9), "summary = 9: expected 1 to window = 8"),
        (lambda: AttentionConfig(pattern=()), "pattern = .*expected one pattern or more"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("preset", "parameters"),
    {
        "debug": 198_976,
        "20m": 20_527_488,
        "160m": 163_013_376,
        "1b": 1_071_712_256,
        "baichuan_7b": 7_000_559_616,
        "baichuan_13b": 13_264_901_120,
        "baichuan2_7b": 7_505_973_248,
        "llama_7b": 6_738_415_616,
        "open_llama_7b": 6_738_415_616,
        "xgen_7b": 6_895_702_016,
    }.items(),
)
def test_presets_have_the_published_parameters(preset, parameters):
    """And say so."""
    path = MODELS / f"{preset}.gin"
    assert parameter_count(load(path, (), RunConfig).config.model) == parameters
    assert f"{parameters:,} parameters" in path.read_text(encoding="utf-8")


def test_the_defaults_are_baichuan_7b():
    assert load(MODELS / "baichuan_7b.gin", (), RunConfig).config.model == DecoderConfig(remat="block")
