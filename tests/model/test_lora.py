"""LoRA: the identity at first, gradients in the adapters alone, and the same model when merged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import AttentionConfig, DecoderConfig, LoraConfig
from baichuan_jax.model.decoder import apply, init_params, loss, param_axes
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.lora import adapted_weights, adapter_axes, attach, init_adapters, merge, stored_base
from baichuan_jax.model.storage import Adapted

MODEL = DecoderConfig(vocab=64, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64)
LORA = LoraConfig(rank=4, alpha=8.0)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 64, (2, 17)), jnp.int32)
BATCH = Batch(TOKENS[:, :-1], TOKENS[:, 1:])


@pytest.fixture(scope="module")
def params():
    return init_params(MODEL, jax.random.key(0))


def trained(cfg=LORA, model=MODEL):
    """Return adapters as after some steps: no leaf is 0."""
    adapters, key = init_adapters(cfg, model, jax.random.key(1)), jax.random.key(2)
    return jax.tree.map(lambda x: x + 0.05 * jax.random.normal(key, x.shape), adapters)


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@pytest.mark.parametrize("model", [MODEL, DecoderConfig(**{**MODEL.__dict__, "remat": "block"})], ids=["none", "block"])
def test_fresh_adapters_are_the_identity_bit_for_bit(params, model):
    fresh = init_adapters(LORA, model, jax.random.key(1))
    assert all(np.any(each["down"] != 0) for each in fresh.values())
    forward = jax.jit(lambda p: apply(model, p, BATCH))
    np.testing.assert_array_equal(forward(attach(LORA, params, fresh)), forward(params))


def test_merged_weights_are_the_same_model(params):
    adapters = trained()
    base, beside = apply(MODEL, params, BATCH), apply(MODEL, attach(LORA, params, adapters), BATCH)
    merged = apply(MODEL, merge(LORA, params, adapters), BATCH)
    assert relative(beside, base) > 1e-2, "the adapters do something"
    assert relative(merged, beside) < 2e-6


@pytest.mark.parametrize("base", ["compute", pytest.param("bfloat16", marks=pytest.mark.slow), "int8"])
def test_gradients_reach_every_adapter(params, base):
    cfg, adapters = LoraConfig(rank=4, base=base), trained()
    frozen = stored_base(cfg, params, jnp.dtype(jnp.float32))
    objective = lambda adapters: loss(MODEL, attach(cfg, frozen, adapters), BATCH).minimised
    value, grads = jax.value_and_grad(objective)(adapters)
    assert all(float(jnp.linalg.norm(grad)) > 0 for grad in jax.tree.leaves(grads))
    step = 1e-2 / float(sum(jnp.sum(grad**2) for grad in jax.tree.leaves(grads))) ** 0.5
    moved = jax.tree.map(lambda x, grad: x - step * grad, adapters, grads)
    assert float(objective(moved)) < float(value)


def test_the_frozen_base_is_stored_small(params):
    size = lambda tree: sum(leaf.nbytes for leaf in jax.tree.leaves(tree["blocks"]))
    whole = size(params)
    assert size(stored_base(LoraConfig(rank=1, base="bfloat16"), params, jnp.float32)) < 0.51 * whole
    assert size(stored_base(LoraConfig(rank=1, base="int8"), params, jnp.float32)) < 0.32 * whole


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ((".*",), 7),
        (("attention.*",), 4),
        (("mlp.up", r"attention\.(query|value)"), 3),
    ],
)
def test_targets_are_names_or_patterns(targets, expected):
    cfg = LoraConfig(rank=2, targets=targets)
    names = adapted_weights(cfg, MODEL)
    assert len(names) == expected
    assert set(init_adapters(cfg, MODEL, jax.random.key(0))) == set(adapter_axes(cfg, MODEL)) == set(names)


@pytest.mark.parametrize(("targets", "said"), [(("attention.q",), "fits no weight"), (("(",), "no regular expression")])
def test_a_target_that_fits_nothing_is_refused(targets, said):
    with pytest.raises(UserError, match=said):
        adapted_weights(LoraConfig(rank=2, targets=targets), MODEL)


def test_axes_fit_their_arrays():
    for model in (MODEL, DecoderConfig(**{**MODEL.__dict__, "attention": AttentionConfig(qk_norm=True)})):
        adapters, axes = init_adapters(LORA, model, jax.random.key(0)), adapter_axes(LORA, model)
        weights = param_axes(model)["blocks"]
        for name, adapter in adapters.items():
            part, weight = name.split(".")
            assert axes[name]["down"][:-1] + axes[name]["up"][2:] == weights[part][weight]
            assert all(len(axes[name][each]) == adapter[each].ndim for each in adapter)


def test_dropout_is_of_the_adapters_input_and_keeps_its_mean():
    rng = np.random.default_rng(0)
    x, weight, down, up = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 8), (8, 5), (8, 4), (4, 5))
    )
    multiply = lambda key: Execution().matmul(x, nnx.Param(Adapted(weight, down, up, key, 2.0, 0.5)))
    some = jax.vmap(multiply)(jax.random.split(jax.random.key(0), 4000))
    whole = x @ weight + 2.0 * x @ down @ up
    np.testing.assert_allclose(multiply(None), whole, rtol=1e-5, atol=1e-5)
    assert relative(some.mean(0), whole) < 0.05
    assert relative(some[0], whole) > 0.2
    halves = some - x @ weight
    assert relative(halves.std(0), jnp.sqrt(4.0 * (x**2) @ (down @ up) ** 2)) < 0.05, "each input is kept or dropped"
