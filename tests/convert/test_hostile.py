"""Damaged and unexpected checkpoints: one error that names the tensor or the field, and nothing half-written."""

import json
import struct

import numpy as np
import pytest

from baichuan_jax.convert.source import CONFIG
from baichuan_jax.core.errors import UserError
from tests.convert.making import SMALL, imported, write_published, write_tensors

NORM = "model.layers.1.input_layernorm.weight"
DEEP = '{"a":' * 50_000  # deeper than a parser's stack
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def source(tmp_path):
    """Return a checkpoint in one file, and its tensors."""
    return tmp_path / "theirs", write_published(tmp_path / "theirs", SMALL, "llama")


@pytest.fixture
def shards(tmp_path):
    """Return a checkpoint in three files."""
    write_published(tmp_path / "theirs", SMALL, "llama", files=3)
    return tmp_path / "theirs"


def refused(directory, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        imported(directory, directory.parent / "ours")
    assert "\n" not in str(caught.value)
    assert not (directory.parent / "ours").exists()


def edit(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


def rewrite_header(path, change) -> None:
    """Apply `change` to the header of a safetensors file, in place."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_a_missing_tensor(source):
    directory, tensors = source
    write_tensors(directory, {name: value for name, value in tensors.items() if name != NORM})
    refused(directory, f"is missing the tensor '{NORM}'; its config.json requires it")


def test_an_unexpected_tensor(source):
    directory, tensors = source
    write_tensors(directory, tensors | {"model.layers.0.self_attn.q_proj.bias": np.zeros(32, np.float32)})
    refused(
        directory,
        r"has an unexpected tensor 'model.layers.0.self_attn.q_proj.bias'; its config.json does not describe it",
    )


def test_more_layers_than_the_config_says(source):
    edit(source[0] / CONFIG, num_hidden_layers=1)
    refused(source[0], r"has an unexpected tensor 'model\.layers\.1\..*' and 8 more; its")


def test_a_mismatched_shape(source):
    directory, tensors = source
    write_tensors(directory, tensors | {NORM: np.ones(31, np.float32)})
    refused(directory, rf"model.safetensors: tensor '{NORM}' has shape \[31\]; config.json requires \[32\]")


def test_a_packed_layout_by_the_other_name(source):
    edit(source[0] / CONFIG, architectures=["BaiChuanForCausalLM"])
    refused(source[0], r"is missing the tensor 'model.layers.0.self_attn.W_pack.weight' and 1 more")


@pytest.mark.parametrize("left", [0, 5, 8, 100, 3000, -1])
def test_a_truncated_file(source, left):
    path = source[0] / SINGLE
    path.write_bytes(path.read_bytes()[:left])
    refused(source[0], r"model.safetensors.*truncated")


def test_a_file_that_is_something_else(source):
    path, deep = source[0] / SINGLE, struct.pack("<Q", len(DEEP)) + DEEP.encode()
    for junk in (b"<!DOCTYPE html>" * 50, struct.pack("<Q", 3) + b"[1]", struct.pack("<Q", 3) + b"\xff{}", deep):
        path.write_bytes(junk)
        refused(source[0], r"model.safetensors.* is not a safetensors file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda h: h[NORM].update(data_offsets=[0, 64]), r"tensor '.*input_layernorm.* needs 128 bytes, not 64"),
        (lambda h: h[NORM].update(shape=[64]), r"F32 \[64\], needs 256 bytes, not 128"),
        (
            lambda h: h[NORM].update(data_offsets=[0, 128]),
            r"tensor '.*' starts at byte \d+ of the data, the previous one",
        ),
        (lambda h: h[NORM].update(dtype=["F32"]), r"expected dtype, shape and data_offsets"),
        (lambda h: h[NORM].update(shape=[10**4000] * 2), r"expected dtype, shape and data_offsets"),
        (lambda h: h.update(__metadata__=["pt"]), r"__metadata__ = \['pt'\]: expected an object of texts"),
        (lambda h: h.update(__metadata__="pt"), r"__metadata__ = 'pt': expected an object of texts"),
        (lambda h: h.update(__metadata__={"format": 1}), r"__metadata__ = .*: expected an object of texts"),
        (lambda h: h[NORM].update(dtype="I8"), r"has dtype I8; supported: BF16, F16, F32"),
        (lambda h: h[NORM].update(shape=[-32]), r"expected dtype, shape and data_offsets"),
        (lambda h: h[NORM].update(shape="32"), r"expected dtype, shape and data_offsets"),
        (lambda h: h[NORM].pop("data_offsets"), r"expected dtype, shape and data_offsets"),
        (lambda h: h.pop("model.norm.weight"), r"the header describes|starts at"),
        (lambda h: h.update({NORM: 3}), r"expected dtype, shape and data_offsets"),
    ],
)
def test_a_header_that_does_not_add_up(source, change, match):
    rewrite_header(source[0] / SINGLE, change)
    refused(source[0], match)


def test_a_missing_shard(shards):
    (shards / "model-00002-of-00003.safetensors").unlink()
    refused(shards, r"model-00002-of-00003.safetensors is missing, but model.safetensors.index.json maps '")


def test_a_tensor_in_another_file_than_the_index_says(shards):
    listed = json.loads((shards / INDEX).read_text())["weight_map"]
    edit(shards / INDEX, weight_map=listed | {NORM: next(file for file in listed.values() if file != listed[NORM])})
    refused(shards, rf"the index maps tensor '{NORM}' to model-.*, which does not contain it")


def test_a_tensor_in_two_files(shards):
    """One file copied over another."""
    (shards / "model-00002-of-00003.safetensors").write_bytes(
        (shards / "model-00001-of-00003.safetensors").read_bytes()
    )
    refused(shards, r"tensor '.*' is in both .*00001-of-00003.safetensors and .*00002-of-00003.safetensors")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "model.txt", 7])
def test_an_index_that_leads_elsewhere(shards, name):
    edit(shards / INDEX, weight_map={NORM: name})
    refused(shards, r"which is not a weight file|has no weight_map")


def test_an_index_that_is_no_index(shards):
    edit(shards / INDEX, weight_map=None)
    refused(shards, r"index.json has no weight_map")


def test_no_weights_and_no_directory(source, tmp_path):
    (source[0] / SINGLE).unlink()
    refused(source[0], r"contains none of model.safetensors, pytorch_model.bin, ")
    refused(tmp_path / "nowhere", r"nowhere is not a directory")


@pytest.mark.parametrize("field", ["hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size"])
def test_a_config_without_a_field(source, field):
    edit(source[0] / CONFIG, **{field: None})
    refused(source[0], f"config.json is missing '{field}': expected a positive whole number")


YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden_size": "32"}, r"hidden_size = '32': expected a positive whole number"),
        ({"hidden_size": 32.5}, r"hidden_size = 32.5: expected a positive whole number"),
        ({"num_hidden_layers": True}, r"num_hidden_layers = True: expected a positive whole number"),
        ({"vocab_size": 0}, r"vocab_size = 0: expected a positive whole number"),
        ({"rms_norm_eps": -1}, r"rms_norm_eps = -1: expected a positive number"),
        ({"rms_norm_eps": 1e400}, r"rms_norm_eps = inf: expected a positive number"),
        ({"rope_theta": 10**400}, r"rope_theta = 10+\.\.\.0+: expected a positive number"),
        ({"architectures": [["LlamaForCausalLM"]]}, r"architectures = .* is not supported"),
        ({"rope_scaling": {"type": ["linear"]}}, r"rope_scaling: type = \['linear'\]: expected a text"),
        ({"tie_word_embeddings": "no"}, r"tie_word_embeddings = 'no': expected true or false"),
        (
            {"architectures": ["GPT2LMHeadModel"]},
            r"architectures = \['GPT2LMHeadModel'\] is not supported; supported: LlamaForCausalLM",
        ),
        (
            {"architectures": None, "model_type": "mamba"},
            r"architectures = None is not supported; supported: LlamaForCausalLM",
        ),
        ({"attention_bias": True}, r"attention_bias = True is not supported; expected False"),
        ({"mlp_bias": True}, r"mlp_bias = True is not supported; expected False"),
        ({"hidden_act": "gelu"}, r"hidden_act = 'gelu' is not supported; expected 'silu'"),
        ({"sliding_window": 16}, r"sliding_window = 16 is not supported; expected null"),
        ({"quantization_config": {"bits": 4}}, r"quantization_config = .* is not supported"),
        ({"num_key_value_heads": 3}, r"AttentionConfig.kv_heads = 3"),
        ({"rope_scaling": "linear"}, r"rope_scaling = 'linear': expected an object"),
        (
            {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
            r"rope type 'dynamic' is not supported; supported: default",
        ),
        ({"rope_scaling": {"type": "linear"}}, r"rope_scaling is missing 'factor'"),
        ({"rope_scaling": YARN | {"mscale": 0.7}}, r"mscale = 0.7 is not supported"),
        ({"rope_scaling": YARN | {"truncate": False}}, r"truncate = False is not supported; expected True"),
        ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor = 0.5 is not supported; expected 1.0"),
    ],
)
def test_a_config_that_we_would_not_compute(source, changes, match):
    edit(source[0] / CONFIG, **changes)
    refused(source[0], match)


def test_a_config_that_is_no_config(source):
    for text in ("{", "[1]", "\x00", DEEP):
        (source[0] / CONFIG).write_text(text)
        refused(source[0], r"config.json is damaged: it (cannot be read as JSON|does not contain a JSON object)")
    (source[0] / CONFIG).unlink()
    refused(source[0], r"there is no .*config.json")


def test_a_head_stored_beside_the_table_it_is_tied_to(source, tmp_path):
    """Is fine if it is the table, and is not passed over if it is something else."""
    directory, tensors = source
    edit(directory / CONFIG, tie_word_embeddings=True)
    refused(directory, r"config.json ties the head to the token table, but 'lm_head.weight' differs")
    write_tensors(directory, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].copy()})
    assert imported(directory, tmp_path / "ours")[0].head.tied


def test_buffers_of_old_checkpoints_are_passed_over(source, tmp_path):
    directory, tensors = source
    buffer = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32) for n in range(2)}
    write_tensors(directory, tensors | buffer)
    assert imported(directory, tmp_path / "ours")[0].layers == SMALL.layers
