"""Against stock transformers, where it is installed: what it writes we read, and what we write it reads."""

import json
from dataclasses import replace

import numpy as np
import pytest

from baichuan_jax.convert.safetensors import BFLOAT16
from baichuan_jax.convert.verify import our_logits
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, HeadConfig, PositionConfig
from tests.convert.making import SMALL, imported, trained, write

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOKENS = np.random.default_rng(1).integers(0, SMALL.vocab, (2, 48)).astype(np.int32)
SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
}
VARIANTS = {
    "plain": {},
    "eps": {"rms_norm_eps": 1e-3},
    "base": {"rope_theta": 500_000.0},
    "grouped": {"num_key_value_heads": 2},
    "multi-query": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "head_dim": {"head_dim": 16},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "yarn": {
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    },
    "yarn, tuned": {
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 2.0,
            "original_max_position_embeddings": 32,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "attention_factor": 1.3,
        },
    },
    "llama3": {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
}


def their_logits(directory) -> np.ndarray:
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.from_numpy(TOKENS).long()).logits.numpy()


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def made(fields: dict):
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**SHAPE, **fields}))


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_a_checkpoint_of_transformers_gives_its_logits(tmp_path, fields):
    made(fields).save_pretrained(tmp_path / "theirs")
    cfg, params = imported(tmp_path / "theirs", tmp_path / "ours")
    close(our_logits(params, cfg, TOKENS), their_logits(tmp_path / "theirs"))


def test_bfloat16_in_several_files(tmp_path):
    made({"num_key_value_heads": 2}).bfloat16().save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("model-*.safetensors"))) > 2
    cfg, params = imported(tmp_path / "theirs", tmp_path / "ours")
    close(our_logits(params, cfg, TOKENS), their_logits(tmp_path / "theirs"))


@pytest.mark.parametrize("files", [1, 2])
def test_pytorch_pickles(tmp_path, files):
    model = made({}).bfloat16()
    model.config.save_pretrained(tmp_path)
    state = model.state_dict()
    if files == 1:
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        listed = {name: f"pytorch_model-{number % files}.bin" for number, name in enumerate(state)}
        for file in set(listed.values()):
            torch.save({name: state[name].clone() for name in listed if listed[name] == file}, tmp_path / file)
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": listed}))
    cfg, params = imported(tmp_path, tmp_path / "ours")
    model.save_pretrained(tmp_path / "safe")
    close(our_logits(params, cfg, TOKENS), their_logits(tmp_path / "safe"))


class Opens:
    """What a hostile pickle would do on loading."""

    def __reduce__(self):
        return open, ("harm", "w")


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made({}).config.save_pretrained(tmp_path)
    torch.save({"model.norm.weight": Opens()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin cannot be read as tensors alone"):
        imported(tmp_path, tmp_path / "ours")
    assert not (tmp_path / "harm").exists()


def test_a_damaged_pickle(tmp_path):
    made({}).config.save_pretrained(tmp_path)
    torch.save({"model.norm.weight": torch.ones(32)}, tmp_path / "pytorch_model.bin")
    whole = (tmp_path / "pytorch_model.bin").read_bytes()
    for damaged in (whole[:-100], whole[:50], b"", b"nonsense"):
        (tmp_path / "pytorch_model.bin").write_bytes(damaged)
        with pytest.raises(UserError, match=r"pytorch_model.bin cannot be read as tensors alone"):
            imported(tmp_path, tmp_path / "ours")


OURS = {
    "plain": {},
    "grouped": {"attention": AttentionConfig(kv_heads=2)},
    "tied": {"head": HeadConfig(tied=True)},
    "head_dim": {"head_dim": 16, "norm_eps": 1e-3},
    "NormHead": {"head": HeadConfig(normalised=True)},
    "tied NormHead": {"head": HeadConfig(normalised=True, tied=True)},
    "equal parameters": {"inner": 0},
    "base": {"positions": PositionConfig(rope_base=500_000.0)},
    "linear": {"positions": PositionConfig(scaling="linear", factor=4.0)},
    "ntk": {"positions": PositionConfig(scaling="ntk", factor=4.0)},
    "yarn": {"positions": PositionConfig(scaling="yarn", factor=4.0, original_context=16, attention_factor=1.3)},
    "llama3": {"positions": PositionConfig(scaling="llama3", factor=8.0, original_context=16, fast=4.0)},
}


@pytest.mark.parametrize("fields", OURS.values(), ids=OURS)
def test_transformers_loads_what_we_trained(tmp_path, fields):
    """A checkpoint as training writes it, sharded over eight devices."""
    cfg = replace(SMALL, **fields)
    params = trained(cfg, tmp_path / "checkpoints")
    write(params, cfg, "llama", tmp_path / "theirs")
    close(our_logits(params, cfg, TOKENS), their_logits(tmp_path / "theirs"))


def test_bfloat16_export_is_the_weights_rounded(tmp_path):
    params = trained(SMALL, tmp_path / "checkpoints")
    write(params, SMALL, "llama", tmp_path / "theirs", BFLOAT16)
    cfg, rounded = imported(tmp_path / "theirs", tmp_path / "ours")
    close(our_logits(rounded, cfg, TOKENS), their_logits(tmp_path / "theirs"))
    assert 1e-4 < np.abs(our_logits(params, SMALL, TOKENS) - their_logits(tmp_path / "theirs")).max() < 0.1
