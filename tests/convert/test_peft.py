"""Adapters in PEFT's layout: what is written is read back bit for bit, and what is not understood is refused."""

import json
import re
from dataclasses import replace
from shutil import copytree

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from baichuan_jax.convert import layouts
from baichuan_jax.convert.merged import Addition, stored_fingerprint
from baichuan_jax.convert.peft import CONFIG, MODEL, PeftAdapter, read_adapter, write_adapter
from baichuan_jax.convert.verify import verify
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, LoraConfig, PositionConfig
from baichuan_jax.model.decoder import parameter_count
from baichuan_jax.model.fingerprint import fingerprint
from baichuan_jax.model.lora import adapter_count, init_adapters, merge
from baichuan_jax.recipe.load import load_config
from tests.convert.making import SMALL, imported, restored, write, write_published

LORA = LoraConfig(rank=4, alpha=6.0)
F32 = np.dtype(np.float32)
QUERY = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def made(cfg=LORA, model=SMALL):
    """Return adapters of which no leaf is 0, in memory."""
    shapes = jax.eval_shape(lambda: init_adapters(cfg, model, jax.random.key(0)))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_adapter(PeftAdapter(LORA, made(), "0123456789abcdef"), SMALL, F32, folder)
    return folder


@pytest.fixture
def folder(tmp_path, written):
    """Return the directory of a written adapter, to change."""
    return copytree(written, tmp_path / "adapter")


@pytest.mark.parametrize(
    ("targets", "model"),
    [
        ((".*",), SMALL),
        (("attention.query", "mlp.down"), SMALL),
        ((".*",), replace(SMALL, attention=AttentionConfig(kv_heads=2), head_dim=12)),
    ],
)
def test_an_adapter_comes_back_bit_for_bit(tmp_path, targets, model):
    cfg = replace(LORA, targets=targets, drop=0.1)
    adapters = made(cfg, model)
    found = write_adapter(PeftAdapter(cfg, adapters, "fedcba9876543210"), model, F32, tmp_path)
    assert found["parameters"] == adapter_count(cfg, model)
    back = read_adapter(tmp_path, model)
    assert (back.cfg.rank, back.cfg.alpha, back.cfg.drop, back.base) == (4, 6.0, 0.1, "fedcba9876543210")
    assert jax.tree.structure(back.adapters) == jax.tree.structure(adapters)
    jax.tree.map(np.testing.assert_array_equal, back.adapters, adapters)


def test_keys_and_shapes_are_those_of_peft(folder):
    tensors = load_file(folder / MODEL)
    assert len(tensors) == 2 * 7 * SMALL.layers
    name = "base_model.model.model.layers.1.{}.weight"
    assert tensors[name.format("self_attn.q_proj.lora_A")].shape == (4, 32)
    assert tensors[name.format("mlp.down_proj.lora_A")].shape == (4, 48)
    assert tensors[name.format("mlp.up_proj.lora_B")].shape == (48, 4)
    said = json.loads((folder / CONFIG).read_text())
    assert said["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_an_adapter_of_packed_weights_is_split(folder):
    """One A and one B of W_pack are three adapters with the same A."""
    rng = np.random.default_rng(1)
    stem = "base_model.model.model.layers.{}.self_attn.W_pack.lora_{}.weight"
    packed = {stem.format(n, "A"): rng.normal(size=(4, 32)).astype(np.float32) for n in range(SMALL.layers)}
    packed |= {stem.format(n, "B"): rng.normal(size=(96, 4)).astype(np.float32) for n in range(SMALL.layers)}
    save_file(packed, folder / MODEL)
    found = read_adapter(folder, SMALL)
    assert found.base is None
    names = ["attention.query", "attention.key", "attention.value"]
    assert found.adapters.keys() == set(names)
    for layer in range(SMALL.layers):
        whole = packed[stem.format(layer, "B")] @ packed[stem.format(layer, "A")]
        for part, adapter in enumerate(found.adapters[name] for name in names):
            product = np.tensordot(adapter["down"][layer], adapter["up"][layer], 1)
            expected = whole[32 * part : 32 * (part + 1)].T
            np.testing.assert_allclose(product.reshape(32, 32), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peft_type", "LOHA"),
        ("bias", "all"),
        ("use_rslora", True),
        ("use_dora", True),
        ("fan_in_fan_out", True),
        ("modules_to_save", ["lm_head"]),
        ("rank_pattern", {"q_proj": 8}),
        ("alpha_pattern", {"q_proj": 8}),
        ("init_lora_weights", "pissa"),
        ("layers_to_transform", [0]),
        ("a_setting_to_come", 1),
        ("r", 0),
        ("r", 4.5),
    ],
)
def test_a_setting_that_is_not_plain_lora_is_refused_by_name(folder, field, value):
    said = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(said | {field: value}))
    with pytest.raises(UserError, match=re.escape(f"{CONFIG}: {field} = {value!r}")):
        read_adapter(folder, SMALL)


# Values that no setting of a type takes.
NO_NUMBER = [0, -1.0, True, "8", [8], {"r": 8}, 1e400, float("nan"), 10**400]


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("lora_alpha", [*NO_NUMBER, 1e39], "a positive number"),
        ("r", [*NO_NUMBER[:-1], 8.0], "a positive whole number"),
        ("lora_dropout", [*NO_NUMBER[1:], 1], "a share in [0, 1)"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(folder, field, values, expected):
    said = json.loads((folder / CONFIG).read_text())
    for value in values:
        (folder / CONFIG).write_text(json.dumps(said | {field: value}))
        with pytest.raises(UserError, match=f"{CONFIG}: {field} = .*: expected {re.escape(expected)}"):
            read_adapter(folder, SMALL)


def test_null_is_absent(folder):
    said = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(said | {"lora_dropout": None}))
    assert read_adapter(folder, SMALL).cfg.drop == 0
    (folder / CONFIG).write_text(json.dumps(said | {"lora_alpha": None}))
    with pytest.raises(UserError, match="is missing 'lora_alpha': expected a positive number"):
        read_adapter(folder, SMALL)


@pytest.mark.parametrize("side", ["lora_A", "lora_B"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_that_is_not_finite_is_refused_by_name(folder, side, value):
    tensors, name = load_file(folder / MODEL), QUERY.replace("lora_A", side)
    tensors[name][-1, -1] = value
    save_file(tensors, folder / MODEL)
    with pytest.raises(UserError, match=f"'{re.escape(name)}' holds NaN or infinity"):
        read_adapter(folder, SMALL)


def changed(key, value):
    """Return a change of tensors: one is another, or gone."""
    return lambda tensors: {**tensors, key: value} if value is not None else tensors.pop(key) is None or tensors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(QUERY, None), f"'{QUERY}' (1 such) is missing"),
        (changed(QUERY, np.zeros((8, 32), np.float32)), f"'{QUERY}' has shape [8, 32], the config's decoder and r = 4"),
        (changed(QUERY.replace("layers.0", "layers.2"), np.zeros((4, 32), np.float32)), "fits no weight"),
        (changed(QUERY.replace("lora_A", "lora_magnitude_vector"), np.zeros(32, np.float32)), "fits no weight"),
        (
            lambda tensors: {key.removeprefix("base_model.model."): value for key, value in tensors.items()},
            f"'model.layers.0.mlp.down_proj.lora_A.weight' ({14 * SMALL.layers} such) fits no weight",
        ),
        (lambda tensors: {}, "holds no tensor"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(folder, change, said):
    save_file(change(load_file(folder / MODEL)), folder / MODEL)
    with pytest.raises(UserError, match=re.escape(said)):
        read_adapter(folder, SMALL)


def test_files_that_are_not_there(folder):
    (folder / MODEL).rename(folder / "adapter_model.bin")
    with pytest.raises(UserError, match="safe_serialization=True"):
        read_adapter(folder, SMALL)
    with pytest.raises(UserError, match="there is no"):
        read_adapter(folder / "nowhere", SMALL)


def test_a_decoder_that_the_layout_cannot_express(folder):
    with pytest.raises(UserError, match=r"PositionConfig\.kind"):
        read_adapter(folder, replace(SMALL, positions=PositionConfig(kind="alibi")))


def test_a_merged_export_is_the_merged_model(tmp_path, monkeypatch):
    """Read in whatever parts."""
    monkeypatch.setattr(layouts, "BLOCK_BYTES", 2000)
    write_published(tmp_path / "theirs", SMALL, "llama")
    _, params = imported(tmp_path / "theirs", tmp_path / "ours")
    base, adapters = restored(SMALL, params), made()
    assert stored_fingerprint(params, SMALL) == fingerprint(base)
    addition = Addition(LORA, adapters)
    write(params, SMALL, "baichuan", tmp_path / "merged", addition=addition)
    assert verify(tmp_path / "merged", params, SMALL, addition) < 1e-5
    tensors = load_file(tmp_path / "merged/model.safetensors")
    expected = jax.device_get(merge(LORA, base, adapters)["blocks"])
    for layer in range(SMALL.layers):
        stem = f"model.layers.{layer}."
        packed = np.split(tensors[f"{stem}self_attn.W_pack.weight"], 3)
        for name, weight in zip(("query", "key", "value"), packed):
            np.testing.assert_allclose(weight.T, expected["attention"][name][layer].reshape(32, 32), atol=1e-6)
        down = tensors[f"{stem}mlp.down_proj.weight"]
        np.testing.assert_allclose(down.T, expected["mlp"]["down"][layer], atol=1e-6)


def test_an_adapter_of_rank_8_is_a_hundredth_of_its_base():
    model = load_config("model/1b").model
    assert adapter_count(LoraConfig(rank=8), model) <= 0.01 * parameter_count(model)
