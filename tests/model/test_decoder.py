from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig
from baichuan_jax.model.decoder import (
    apply,
    apply_cached,
    init_cache,
    init_params,
)
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.model.loss import token_nll

CFG = DecoderConfig(vocab=97, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64, remat="none")


@pytest.fixture(scope="module")
def params():
    return init_params(CFG, jax.random.key(0))


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(1), (3, 16), 0, CFG.vocab)


@pytest.mark.parametrize(("causal", "gflop"), [(False, 46.87), (True, 43.65)])
def test_flops_of_one_baichuan_7b_token_in_both_conventions(causal, gflop):
    assert flops_per_token(DecoderConfig(), 4096, causal) / 1e9 == pytest.approx(gflop, abs=0.005)


def test_initial_values(params):
    weights = [leaf for leaf in jax.tree.leaves(params) if leaf.size > 1000]
    for leaf in weights:
        assert float(leaf.std()) == pytest.approx(CFG.init_std, rel=0.1)
    assert (params["head"]["norm"]["scale"] == 1).all()
    query = params["blocks"]["attention"]["query"]
    assert not np.allclose(query[0], query[1]), "layers must not start alike"


def test_logits_see_only_the_past(params, tokens):
    logits = apply(CFG, params, Batch(tokens))
    changed = apply(CFG, params, Batch(tokens.at[:, 9].set((tokens[:, 9] + 1) % CFG.vocab)))
    np.testing.assert_allclose(logits[:, :9], changed[:, :9], atol=1e-6)
    assert (np.abs(logits[:, 9:] - changed[:, 9:]).max(axis=(1, 2)) > 1e-4).all()


@pytest.mark.parametrize(("remat", "unroll"), [("products", 1), ("block", 1), ("none", 2), ("none", 9), ("block", 2)])
def test_remat_and_unrolling_change_no_numbers(params, tokens, remat, unroll):
    def grads(cfg, unroll):
        logits = lambda p: apply(cfg, p, Batch(tokens[:, :-1]), Execution(unroll=unroll))
        return jax.jit(jax.grad(lambda p: token_nll(logits(p), tokens[:, 1:]).mean()))(params)

    changed = DecoderConfig(**{**CFG.__dict__, "remat": remat})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), grads(CFG, 1), grads(changed, unroll))


def test_bfloat16_compute_keeps_float32_logits(params, tokens):
    logits = apply(CFG, params, Batch(tokens), Execution(jnp.dtype(jnp.bfloat16)))
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, apply(CFG, params, Batch(tokens)), atol=0.05)


def test_cache_gives_the_logits_of_the_whole_sequence_for_ragged_rows(params, tokens):
    """Rows of 5, 9 and 16 tokens, right-padded, then two more tokens each."""
    lengths, size = np.array([5, 9, 14]), 32
    whole = apply(CFG, params, Batch(tokens))
    place = np.broadcast_to(np.arange(14), (3, 14))
    positions = np.where(place < lengths[:, None], place, size)
    logits, cache = apply_cached(CFG, params, Batch(tokens[:, :14], positions=positions), init_cache(CFG, 3, size))
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(logits[row, :length], whole[row, :length], atol=1e-5)
    for extra in range(2):
        at = lengths + extra
        logits, cache = apply_cached(
            CFG, params, Batch(tokens[np.arange(3), at][:, None], positions=at[:, None]), cache
        )
        np.testing.assert_allclose(logits[:, 0], whole[np.arange(3), at], atol=1e-5)


def test_token_nll_is_the_log_softmax():
    logits = jax.random.normal(jax.random.key(0), (2, 3, 11)) * 5
    targets = jnp.array([[0, 5, 10], [3, 3, 3]])
    expected = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), np.asarray(targets)[..., None], -1)[..., 0]
    np.testing.assert_allclose(token_nll(logits, targets), expected, rtol=1e-6)


def test_too_long_a_sequence_is_refused(params):
    with pytest.raises(UserError, match="sequence length = 65: expected at most 64"):
        apply(CFG, params, Batch(jnp.zeros((1, 65), jnp.int32)))


def test_normalised_queries_and_keys_do_not_depend_on_the_scale_of_their_weights(tokens):
    """The gain of each starts at 1; a gain of another value does change the logits."""
    cfg = replace(CFG, attention=AttentionConfig(kv_heads=2, qk_norm=True), norm_eps=1e-12)
    params = init_params(cfg, jax.random.key(0))
    attention = params["blocks"]["attention"]
    assert attention["query_norm"]["scale"].shape == attention["key_norm"]["scale"].shape == (cfg.layers, cfg.head_dim)

    def logits(**changes):
        blocks = params["blocks"] | {"attention": attention | changes}
        return apply(cfg, params | {"blocks": blocks}, Batch(tokens))

    scaled = logits(query=5 * attention["query"], key=0.2 * attention["key"])
    np.testing.assert_allclose(scaled, logits(), atol=1e-5)
    assert np.abs(logits(query_norm={"scale": 2 * attention["query_norm"]["scale"]}) - logits()).max() > 1e-3
