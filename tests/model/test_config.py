"""Every field of the decoder's settings changes its program, presets have their parameters, nonsense is refused."""

from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path

import jax
import pytest

from baichuan_jax.config.literal import parts
from baichuan_jax.config.load import load
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig
from baichuan_jax.model.decoder import apply, init_params, parameter_count
from baichuan_jax.model.execution import Batch
from baichuan_jax.recipe.run_config import RunConfig
from tests.model.variants import decoder, distinct_tokens

MODELS = Path(__file__).parents[2] / "configs/model"
LEARNED = decoder(positions=PositionConfig("learned"))
YARN = PositionConfig(scaling="yarn", factor=4.0, original_context=4096)
FIXED = AttentionConfig(pattern=("fixed",), window=4, summary=1)

# Field -> (a decoder, the same with another value of it).
CHANGES = {
    "DecoderConfig": {
        "vocab": (decoder(), decoder(vocab=50)),
        "layers": (decoder(), decoder(layers=3)),
        "hidden": (decoder(), decoder(hidden=64)),
        "heads": (decoder(), decoder(heads=2)),
        "head_dim": (decoder(), decoder(head_dim=16)),
        "inner": (decoder(), decoder(inner=64)),
        "feed_forward": (decoder(), decoder(feed_forward="geglu")),
        "context": (LEARNED, replace(LEARNED, context=32)),
        "norm": (decoder(), decoder(norm="layer")),
        "norm_eps": (decoder(), decoder(norm_eps=1e-5)),
        "init_std": (decoder(), decoder(init_std=0.01)),
        "remat": (decoder(), decoder(remat="block")),
        "positions": (decoder(), LEARNED),
        "attention": (decoder(), decoder(attention=FIXED)),
        "head": (decoder(), decoder(head=HeadConfig(tied=True))),
    },
    "PositionConfig": {
        "kind": ({}, {"kind": "alibi"}),
        "rope_base": ({}, {"rope_base": 5e5}),
        "scaling": ({"scaling": "linear", "factor": 4.0}, {"scaling": "ntk", "factor": 4.0}),
        "factor": ({"scaling": "linear", "factor": 4.0}, {"scaling": "linear", "factor": 2.0}),
        "original_context": (YARN, replace(YARN, original_context=64)),
        "fast": (YARN, replace(YARN, fast=2.0)),
        "slow": (YARN, replace(YARN, slow=16.0)),
        "attention_factor": (YARN, replace(YARN, attention_factor=1.0)),
    },
    "AttentionConfig": {
        "kv_heads": ({}, {"kv_heads": 2}),
        "pattern": (FIXED, replace(FIXED, pattern=("fixed", "full"))),
        "window": (FIXED, replace(FIXED, window=5)),
        "summary": (FIXED, replace(FIXED, summary=2)),
        "soft_cap": ({}, {"soft_cap": 5.0}),
    },
    "HeadConfig": {
        name: ({}, {name: value}) for name, value in {"tied": True, "normalised": True, "soft_cap": 5.0}.items()
    },
}
CHANGES["AttentionConfig"]["implementation"] = ({"implementation": "xla"}, {"implementation": "chunked"})
SECTIONS = {"PositionConfig": "positions", "AttentionConfig": "attention", "HeadConfig": "head"}


@lru_cache
def program(cfg: DecoderConfig) -> str:
    """Return initial values and gradients as a program, its constants folded in."""

    def everything():
        params = init_params(cfg, jax.random.key(0))
        return jax.grad(lambda p: apply(cfg, p, Batch(distinct_tokens(8))).sum())(params)

    return jax.jit(everything).lower().as_text()


@pytest.mark.parametrize(
    ("section", "field"),
    [(type(part).__name__, field.name) for part in parts(DecoderConfig()) for field in fields(part)],
)
def test_every_field_changes_the_program(section, field):
    before, after = CHANGES[section][field]
    if section in SECTIONS:
        kind = {cls.__name__: cls for cls in (PositionConfig, AttentionConfig, HeadConfig)}[section]
        before, after = (each if is_dataclass(each) else kind(**each) for each in (before, after))
        before, after = (decoder(**{SECTIONS[section]: each}) for each in (before, after))
    assert program(before) != program(after)


def test_equal_settings_make_equal_programs():
    assert program.__wrapped__(decoder()) == program(decoder())


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
    assert load(MODELS / "baichuan_7b.gin", (), RunConfig).config.model == DecoderConfig()
