"""The decoder against numbers stored by the reference implementation of Baichuan-7B, where the files are at hand."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import apply, apply_cached, init_cache, param_shapes
from baichuan_jax.model.loss import token_nll

CHECKPOINT = Path(__file__).parents[3] / "shared/data/checkpoints/tiny-baichuan"
CFG = DecoderConfig(vocab=320, layers=3, hidden=64, heads=4, head_dim=16, inner=176, context=128)

pytestmark = pytest.mark.skipif(not CHECKPOINT.exists(), reason="the reference checkpoint is not on this machine")


@pytest.fixture(scope="module")
def golden():
    return np.load(CHECKPOINT / "golden.npz")


@pytest.fixture(scope="module")
def params():
    from safetensors.numpy import load_file

    tensors = load_file(CHECKPOINT / "model.safetensors")

    def layer(number: int) -> dict:
        weight = lambda name: tensors[f"model.layers.{number}.{name}.weight"].T
        heads = (CFG.hidden, CFG.heads, CFG.head_dim)
        query, key, value = (part.reshape(heads) for part in np.split(weight("self_attn.W_pack"), 3, axis=1))
        output = weight("self_attn.o_proj").reshape(CFG.heads, CFG.head_dim, CFG.hidden)
        return {
            "attention": {"query": query, "key": key, "value": value, "output": output},
            "attention_norm": {"scale": weight("input_layernorm")},
            "mlp": {name: weight(f"mlp.{name}_proj") for name in ("gate", "up", "down")},
            "mlp_norm": {"scale": weight("post_attention_layernorm")},
        }

    return {
        "blocks": jax.tree.map(lambda *layers: jnp.stack(layers), *map(layer, range(CFG.layers))),
        "ends": {
            "table": jnp.array(tensors["model.embed_tokens.weight"]),
            "norm": {"scale": jnp.array(tensors["model.norm.weight"])},
            "head": jnp.array(tensors["lm_head.weight"].T),
        },
    }


def test_shapes_are_those_of_the_released_weights(params):
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, param_shapes(CFG))


def test_logits_and_loss(params, golden):
    tokens = jnp.array(golden["input_ids"], jnp.int32)
    logits = apply(CFG, params, tokens)
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-5, rtol=0)
    loss = token_nll(logits[:, :-1], tokens[:, 1:]).mean()
    np.testing.assert_allclose(loss, golden["loss"], atol=1e-5, rtol=0)


def test_greedy_continuation_through_the_cache(params, golden):
    greedy = golden["greedy"].astype(np.int32)
    batch, total = greedy.shape
    prompt = next(n for n in range(total, 0, -1) if (greedy[:, :n] == golden["input_ids"][:, :n]).all())
    cache = init_cache(CFG, batch, total)
    positions = jnp.broadcast_to(jnp.arange(prompt), (batch, prompt))
    logits, cache = apply_cached(CFG, params, greedy[:, :prompt], positions, cache)
    made = []
    for position in range(prompt, total):
        made.append(jnp.argmax(logits[:, -1:], axis=-1))
        logits, cache = apply_cached(CFG, params, made[-1], jnp.full((batch, 1), position), cache)
    assert total - prompt >= 24
    made = np.concatenate(made, axis=1)
    ended = np.cumsum(made == 2, axis=1) - (made == 2) > 0  # the reference writes 0 after a row's </s>
    np.testing.assert_array_equal(np.where(ended, 0, made), greedy[:, prompt:])
