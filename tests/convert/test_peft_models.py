"""Against stock peft and transformers, where they are installed: adapters compute the same here and there."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from baichuan_jax.convert.merged import Addition
from baichuan_jax.convert.peft import PeftAdapter, read_adapter, write_adapter
from baichuan_jax.convert.verify import our_logits
from baichuan_jax.model.config import AttentionConfig, HeadConfig, LoraConfig
from baichuan_jax.model.decoder import apply
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.lora import attach, init_adapters
from tests.convert.making import SMALL, imported, restored, write, write_published

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
pytestmark = pytest.mark.slow

DTYPES = (torch.float32, torch.float64)
TOKENS = np.random.default_rng(1).integers(0, SMALL.vocab, (2, 48)).astype(np.int32)
MODELS = {
    "llama": (SMALL, "llama"),
    "grouped": (replace(SMALL, attention=AttentionConfig(kv_heads=2), head_dim=12), "llama"),
    "W_pack": (SMALL, "baichuan"),
    "W_pack, NormHead": (replace(SMALL, head=HeadConfig(normalised=True)), "baichuan"),
}


def made(cfg, model):
    """Return adapters of which no leaf is 0, in memory."""
    shapes = jax.eval_shape(lambda: init_adapters(cfg, model, jax.random.key(0)))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def base(request, tmp_path):
    """Return a decoder, its parameters in a directory, and the same for transformers in another."""
    cfg, layout = request.param
    write_published(tmp_path / "published", cfg, layout)
    _, params = imported(tmp_path / "published", tmp_path / "ours")
    write(params, cfg, "llama", tmp_path / "base")
    return cfg, params, tmp_path / "base"


def loaded(directory, dtype):
    return transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)


def logits(model) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(TOKENS).long()).logits.numpy()


def check_same(ours, theirs, exact, base) -> None:
    """Compare logits of the adapted model: with peft's in float32 and in float64, and with those of its base."""
    distance, allowed = np.abs(ours - theirs), 1e-5 + 1e-5 * np.abs(theirs)
    print(f"largest difference {distance.max():.1e}, from the base {np.abs(theirs - base).max():.1e}")
    nearer = np.abs(ours - exact).max() <= 1.5 * np.abs(theirs - exact).max()
    assert (distance <= allowed).all() or nearer
    assert np.abs(theirs - base).max() >= 1e-3
    assert np.abs(ours - base).max() >= 1e-3


@pytest.mark.parametrize("targets", [(".*",), ("attention.query", "mlp.down")], ids=["all", "two"])
def test_peft_computes_what_we_do_with_our_adapter(base, tmp_path, targets):
    cfg, params, theirs = base
    lora = LoraConfig(rank=4, alpha=6.0, targets=targets)
    adapters, folder = made(lora, cfg), tmp_path / "adapter"
    folder.mkdir()
    write_adapter(PeftAdapter(lora, adapters, "0123456789abcdef"), cfg, np.dtype(np.float32), folder)
    found, exact = (peft.PeftModel.from_pretrained(loaded(theirs, dtype), folder) for dtype in DTYPES)
    before = logits(loaded(theirs, torch.float32))
    merged = our_logits(params, cfg, TOKENS, Addition(lora, adapters))
    beside = apply(cfg, attach(lora, restored(cfg, params), adapters), Batch(TOKENS, TOKENS))
    for ours in (merged, np.asarray(beside)):
        check_same(ours, logits(found), logits(exact.double()), before)
    check_same(merged, logits(found.merge_and_unload()), logits(exact.double()), before)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["down_proj"]], ids=["all", "default", "one"])
def test_we_compute_what_peft_does_with_its_adapter(base, tmp_path, targets):
    cfg, params, theirs = base
    torch.manual_seed(0)
    wanted = peft.LoraConfig(
        r=4, lora_alpha=12, target_modules=targets, lora_dropout=0.1, init_lora_weights=False, task_type="CAUSAL_LM"
    )
    peft.get_peft_model(loaded(theirs, torch.float32), wanted).save_pretrained(tmp_path / "adapter")
    found, exact = (peft.PeftModel.from_pretrained(loaded(theirs, dtype), tmp_path / "adapter") for dtype in DTYPES)
    read = read_adapter(tmp_path / "adapter", cfg)
    assert read.base is None
    ours = our_logits(params, cfg, TOKENS, Addition(read.cfg, read.adapters))
    check_same(ours, logits(found), logits(exact.double()), logits(loaded(theirs, torch.float32)))
