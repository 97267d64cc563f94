"""Import and export over random shapes: no bit changes, nothing is done twice, and a kill anywhere costs nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from baichuan_jax.convert import layouts
from baichuan_jax.convert.hf_config import read_config
from baichuan_jax.convert.load import load
from baichuan_jax.convert.publish import publish, write_config
from baichuan_jax.convert.safetensors import BFLOAT16
from baichuan_jax.convert.save import save
from baichuan_jax.convert.source import CONFIG, Source
from baichuan_jax.convert.verify import verify
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig
from tests.convert.making import (
    SMALL,
    imported,
    random_tensors,
    restored,
    trained,
    write,
    write_published,
    write_tensors,
)

DTYPES = (np.dtype(np.float32), np.dtype(np.float16), BFLOAT16)


@st.composite
def decoders(draw) -> tuple[DecoderConfig, str]:
    """Return a decoder that a layout supports only, and the layout."""
    layout = draw(st.sampled_from(["llama", "baichuan"]))
    heads, head_dim = draw(st.sampled_from([1, 2, 4, 6])), draw(st.sampled_from([4, 8, 10]))
    size = st.integers(1, 70)
    cfg = DecoderConfig(
        vocab=draw(st.integers(2, 150)),
        layers=draw(st.integers(1, 3)),
        hidden=heads * head_dim,
        heads=heads,
        head_dim=head_dim,
        inner=draw(size),
        context=draw(size),
        norm_eps=draw(st.sampled_from([1e-5, 1e-6])),
        init_std=0.1,
        head=HeadConfig(tied=draw(st.booleans())),
        positions=PositionConfig(rope_base=draw(st.sampled_from([1e4, 5e5]))),
    )
    if layout == "llama":
        divisors = [n for n in range(1, heads) if heads % n == 0]
        kv_heads = draw(st.sampled_from([0, *divisors]))
        return replace(cfg, hidden=draw(size), attention=AttentionConfig(kv_heads=kv_heads)), layout
    if draw(st.booleans()):
        cfg = replace(cfg, positions=PositionConfig(kind="alibi"))
    if draw(st.booleans()):
        cfg = replace(cfg, head=HeadConfig(normalised=True))
    return cfg, layout


@settings(max_examples=15, deadline=None)
@given(decoders(), st.sampled_from(DTYPES), st.integers(1, 3), st.sampled_from([64, 1000, 2**25]))
def test_import_and_export_are_inverse(tmp_path_factory, monkeypatch_module, decoder, dtype, files, block_bytes):
    cfg, layout = decoder
    monkeypatch_module.setattr(layouts, "BLOCK_BYTES", block_bytes)
    folder = tmp_path_factory.mktemp("round")
    tensors = write_published(folder / "theirs", cfg, layout, dtype, files)
    found, params = imported(folder / "theirs", folder / "ours")
    assert found == cfg
    size = sum(tensor.nbytes for tensor in tensors.values())
    result = write(params, cfg, layout, folder / "again", file_bytes=max(1, size // files))
    assert result["bytes"] == size
    again = {name: value for file in result["files"] for name, value in load_file(folder / "again" / file).items()}
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == dtype
        np.testing.assert_array_equal(again[name].view(np.uint8), tensor.view(np.uint8), err_msg=name)
    assert imported(folder / "again", folder / "back")[0] == cfg


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize(
    ("fields", "layout"),
    [
        ({"attention": AttentionConfig(kv_heads=2), "head": HeadConfig(tied=True), "head_dim": 6}, "llama"),
        ({}, "baichuan"),
        ({"head": HeadConfig(normalised=True)}, "baichuan"),
        ({"positions": PositionConfig(kind="alibi"), "heads": 6, "head_dim": 6, "hidden": 36}, "baichuan"),
    ],
)
def test_the_imported_decoder_is_the_published_one(tmp_path, fields, layout):
    """Against the published forward pass in numpy."""
    cfg = replace(SMALL, **fields)
    write_published(tmp_path / "theirs", cfg, layout, BFLOAT16, files=2)
    _, params = imported(tmp_path / "theirs", tmp_path / "ours")
    assert verify(tmp_path / "theirs", params, cfg) < 1e-5


@pytest.mark.parametrize(
    ("fields", "layout"),
    [
        ({}, "llama"),
        ({"head": HeadConfig(tied=True)}, "llama"),
        ({"head": HeadConfig(normalised=True)}, "llama"),
        ({"head": HeadConfig(normalised=True)}, "baichuan"),
    ],
)
def test_a_rounded_export_is_compared_with_the_weights_rounded(tmp_path, fields, layout):
    cfg = replace(SMALL, **fields)
    params = trained(cfg, tmp_path / "checkpoints")
    write(params, cfg, layout, tmp_path / "theirs", BFLOAT16)
    assert verify(tmp_path / "theirs", params, cfg) < 1e-5
    tensors = load_file(tmp_path / "theirs/model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    write_tensors(tmp_path / "theirs", tensors | {name: tensors[name] * 1.01})
    with pytest.raises(UserError, match="do not compute the same function"):
        verify(tmp_path / "theirs", params, cfg)


def test_verification_notices_a_single_wrong_tensor(tmp_path):
    tensors = write_published(tmp_path / "theirs", SMALL, "llama")
    _, params = imported(tmp_path / "theirs", tmp_path / "ours")
    key, value = (f"model.layers.1.self_attn.{name}_proj.weight" for name in "kv")
    write_tensors(tmp_path / "theirs", tensors | {key: tensors[value], value: tensors[key]})
    with pytest.raises(UserError, match=r"do not compute the same function: logits differ by"):
        verify(tmp_path / "theirs", params, SMALL)


def test_layers_of_different_dtypes_are_widened(tmp_path):
    tensors = write_published(tmp_path / "theirs", SMALL, "llama", np.float16)
    name = "model.layers.1.mlp.up_proj.weight"
    write_tensors(tmp_path / "theirs", tensors | {name: tensors[name].astype(BFLOAT16)})
    _, params = imported(tmp_path / "theirs", tmp_path / "ours")
    up = restored(SMALL, params)["blocks"]["mlp"]["up"]
    np.testing.assert_array_equal(up[0], tensors[name.replace("1", "0")].T.astype(np.float32))
    np.testing.assert_array_equal(up[1], tensors[name].astype(BFLOAT16).T.astype(np.float32))


class Killed(Exception):
    """Stands for a kill: nothing after it is done."""


def killed_at(number: int):
    """Return a progress that ends the work at its call of that number, and the calls so far."""
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == number:
            raise Killed

    return progress, calls


@pytest.mark.parametrize("number", [1, 2, 7, 30])
def test_a_killed_import_goes_on(tmp_path, monkeypatch, number):
    monkeypatch.setattr(layouts, "BLOCK_BYTES", 2000)
    write_published(tmp_path / "theirs", SMALL, "baichuan")
    source, reads = Source(tmp_path / "theirs"), []
    rows = source.rows
    monkeypatch.setattr(source, "rows", lambda *where: (reads.append(where), rows(*where))[1])
    with pytest.raises(Killed):
        load(source, SMALL, "baichuan", tmp_path / "ours", killed_at(number)[0])
    assert not (tmp_path / "ours" / "0").exists(), "nothing that a reader would accept"
    before = len(reads)
    progress, calls = killed_at(0)
    load(source, SMALL, "baichuan", tmp_path / "ours", progress)
    assert calls[-1] == max(calls)
    again = set(reads[:before]) & set(reads[before:])
    assert len(again) <= 3, "only what was being written is read again"
    _, params = imported(tmp_path / "theirs", tmp_path / "whole")
    ours = tmp_path / "ours" / "0" / "params"
    a, b = (layouts.flat(restored(SMALL, path)) for path in (ours, params))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("number", [1, 5, 20])
def test_a_killed_export_goes_on(tmp_path, monkeypatch, number):
    monkeypatch.setattr(layouts, "BLOCK_BYTES", 2000)
    tensors = write_published(tmp_path / "theirs", SMALL, "baichuan")
    _, params = imported(tmp_path / "theirs", tmp_path / "ours")
    (tmp_path / "out").mkdir()
    with pytest.raises(Killed):
        save(params, SMALL, "baichuan", None, 20_000, tmp_path / "out", killed_at(number)[0])
    assert not list((tmp_path / "out").glob("*.safetensors*")), "nothing that a reader would accept"
    found = save(params, SMALL, "baichuan", None, 20_000, tmp_path / "out", lambda done, total: None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *found["files"],
        "model.safetensors.index.json",
    ]
    again = {name: value for file in found["files"] for name, value in load_file(tmp_path / "out" / file).items()}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(again[name], tensor)


def test_what_training_wrote_over_several_devices_comes_back(tmp_path):
    cfg = replace(SMALL, attention=AttentionConfig(kv_heads=2))
    params = trained(cfg, tmp_path / "checkpoints")
    write(params, cfg, "llama", tmp_path / "out", file_bytes=20_000)
    again, second = imported(tmp_path / "out", tmp_path / "again")
    assert again == cfg
    before, after = (layouts.flat(restored(cfg, path)) for path in (params, second))
    for name in before:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


@pytest.mark.parametrize(
    ("fields", "layout", "match"),
    [
        ({"feed_forward": "geglu"}, "llama", r"DecoderConfig.feed_forward = 'geglu': the layout 'llama' supports only"),
        ({"norm": "layer"}, "llama", r"DecoderConfig.norm = 'layer'"),
        ({"positions": PositionConfig(kind="alibi")}, "llama", r"PositionConfig.kind = 'alibi'"),
        (
            {"positions": PositionConfig(kind="learned")},
            "baichuan",
            r"PositionConfig.kind = 'learned'.* 'rope' or 'alibi'",
        ),
        ({"attention": AttentionConfig(pattern=("full", "local"), window=4)}, "llama", r"AttentionConfig.pattern = "),
        ({"attention": AttentionConfig(soft_cap=5.0)}, "llama", r"AttentionConfig.soft_cap = 5.0"),
        ({"attention": AttentionConfig(qk_norm=True)}, "llama", r"AttentionConfig.qk_norm = True"),
        ({"head": HeadConfig(soft_cap=5.0)}, "llama", r"HeadConfig.soft_cap = 5.0"),
        ({"attention": AttentionConfig(kv_heads=2)}, "baichuan", r"AttentionConfig.kv_heads = 2"),
        ({"head_dim": 16}, "baichuan", r"DecoderConfig.head_dim = 16"),
        ({"head": HeadConfig(normalised=True, tied=True)}, "baichuan", r"HeadConfig.tied = True"),
        (
            {"positions": PositionConfig(scaling="linear", factor=2.0)},
            "baichuan",
            r"PositionConfig.scaling = 'linear'",
        ),
    ],
)
def test_what_a_layout_cannot_express_is_refused(fields, layout, match):
    with pytest.raises(UserError, match=match):
        publish(replace(SMALL, **fields), layout)


def test_released_configs_are_read_as_what_they_are(tmp_path):
    """The shapes that config.json of the releases states; Baichuan's four are told apart by what they state."""
    common = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "model_type": "baichuan", "initializer_range": 0.02}
    seven = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_hidden_layers": 32}
    thirteen = {"hidden_size": 5120, "intermediate_size": 13696, "num_attention_heads": 40, "num_hidden_layers": 40}
    first, later = {"architectures": ["BaiChuanForCausalLM"]}, {"architectures": ["BaichuanForCausalLM"]}
    rotary, other = {"max_position_embeddings": 4096}, {"model_max_length": 4096}
    second = {"vocab_size": 125_696, "z_loss_weight": 0}
    released = {
        ("rope", False): common | seven | first | rotary | {"vocab_size": 64_000},
        ("alibi", False): common | thirteen | later | other | {"vocab_size": 64_000},
        ("rope", True): common | seven | later | rotary | other | second,
        ("alibi", True): common | thirteen | later | other | second,
    }
    for (kind, normalised), config in released.items():
        layout, cfg = read_config(config, tmp_path / CONFIG)
        assert (layout, cfg.positions.kind, cfg.head.normalised, cfg.context) == ("baichuan", kind, normalised, 4096)
        assert read_config(write_config(publish(cfg, layout), layout, "bfloat16"), tmp_path / CONFIG) == (layout, cfg)
    assert read_config(released["rope", False], tmp_path / CONFIG)[1] == DecoderConfig()


def test_tensors_are_named_and_shaped_as_published():
    found = {name: tensor.shape for name, tensor in random_tensors(SMALL, "baichuan", np.dtype(np.float32)).items()}
    assert found["model.layers.1.self_attn.W_pack.weight"] == (96, 32)
    assert found["model.layers.0.mlp.down_proj.weight"] == (32, 48)
    assert found["lm_head.weight"] == found["model.embed_tokens.weight"] == (96, 32)
    assert len(found) == 2 * 7 + 3
