"""Weights and caches in fewer bytes: the decoder of the rounded weights, and nearly that of the whole ones."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from qwix import QArray, dequantize

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import EngineConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.config import HeadConfig
from baichuan_jax.model.decoder import apply, apply_cached, for_decoding, init_params
from baichuan_jax.model.execution import Batch, Execution, matmul
from baichuan_jax.model.storage import empty, store_block
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.generate.naive import END, MODEL
from tests.generate.test_engine import random_jobs, run

TOKENS = np.random.default_rng(0).integers(3, MODEL.vocab, (3, 40))


def logits(held, cache_storage):
    """Those of TOKENS, 30 at once and ten more, through a cache."""
    empties = partial(empty, jnp, (3, 4, 40, 8), cache_storage, jnp.float32)
    cache = [{"key": empties(), "value": empties()} for _ in range(MODEL.layers)]
    places, step = np.broadcast_to(np.arange(40), TOKENS.shape), jax.jit(partial(apply_cached, MODEL))
    first, cache = step(held, Batch(TOKENS[:, :30], positions=places[:, :30]), cache)
    second, cache = step(held, Batch(TOKENS[:, 30:], positions=places[:, 30:]), cache)
    return jnp.concatenate([first, second], axis=1), cache


def distance(found, wanted) -> float:
    """Return the largest of any position, relative."""
    return float(jnp.max(jnp.linalg.norm(found - wanted, axis=-1) / jnp.linalg.norm(wanted, axis=-1)))


@pytest.mark.parametrize(("storage", "least", "most"), [("bfloat16", 1e-4, 0.01), ("int8", 1e-3, 0.02)])
def test_weights_are_rounded_once_and_computed_with_exactly(params, storage, least, most):
    held = for_decoding(MODEL, params, storage, jnp.float32)
    whole = lambda leaf: (dequantize(leaf) if isinstance(leaf, QArray) else leaf).astype(jnp.float32)
    is_integer = lambda leaf: isinstance(leaf, QArray)
    layers = jax.tree.map(whole, held["blocks"], is_leaf=is_integer)
    outer = {name: jax.tree.map(whole, part) for name, part in held.items() if name != "blocks"}
    rounded = {"blocks": jax.tree.map(lambda *x: jnp.stack(x), *layers), **outer}
    errors = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(a))), params, rounded)
    assert least < max(jax.tree.leaves(errors)) < most
    # Scales are multiplied after the product here and before it there: 1.4e-5 apart in float32 on some processors.
    assert distance(logits(held, "compute")[0], apply(MODEL, rounded, Batch(TOKENS))) < 3e-5


@pytest.mark.parametrize(("storage", "most"), [("compute", 1e-6), ("bfloat16", 0.005), ("int8", 0.015)])
def test_logits_from_a_cache_in_fewer_bytes(storage, most):
    params = jax.tree.map(lambda x: x * 2, init_params(MODEL, jax.random.key(0)))  # less sharp: a rounding stays small
    found, cache = logits(for_decoding(MODEL, params, "compute", jnp.float32), storage)
    assert distance(found, apply(MODEL, params, Batch(TOKENS))) < most
    assert jax.tree.leaves(cache)[0].dtype == jnp.dtype("float32" if storage == "compute" else storage)


def test_a_product_with_integers():
    x, kernel = (jax.random.normal(jax.random.key(seed), shape) for seed, shape in ((0, (2, 3, 4, 5)), (1, (4, 5, 6))))
    held = store_block({"output": kernel}, "int8", jnp.float32)["output"]
    assert held.scale.shape == (1, 1, 6)
    np.testing.assert_allclose(matmul(x, held, 2), matmul(x, dequantize(held), 2), rtol=1e-5, atol=1e-5)


def test_bytes(params):
    size = lambda storage, dtype: sum(
        leaf.nbytes for leaf in jax.tree.leaves(for_decoding(MODEL, params, storage, dtype)["blocks"])
    )
    scales = 4 * MODEL.layers * (4 * 32 + 2 * 48 + 32)
    norms = 4 * MODEL.layers * 2 * 32
    kernels = size("compute", jnp.float32) - norms
    assert size("bfloat16", jnp.float32) == size("compute", jnp.bfloat16) == kernels // 2 + norms
    assert size("int8", jnp.float32) == kernels // 4 + norms + scales


def test_a_normalised_head_stays_exact():
    model = dataclasses.replace(MODEL, head=HeadConfig(normalised=True))
    held = for_decoding(model, init_params(model, jax.random.key(0)), "bfloat16", jnp.float32)
    assert held["head"]["kernel"].dtype == jnp.float32


@pytest.mark.slow
def test_integers_over_a_mesh(params):
    made = []
    for layout in (make_mesh(MeshConfig(data=2, fsdp=2, tensor=2)), make_mesh(MeshConfig(), jax.devices()[:1])):
        engine = Engine(
            EngineConfig(slots=4, weights="int8"), MODEL, params, (END,), Execution(layout=Layout(layout, AxisRules()))
        )
        made.append(run(engine, random_jobs(4, 6)))
    assert made[0] == made[1]


@pytest.mark.parametrize("name", ["weights", "cache"])
def test_a_storage_that_there_is_not(name):
    with pytest.raises(UserError, match=f"EngineConfig.{name} = 'int4': expected one of compute, bfloat16, int8"):
        EngineConfig(**{name: "int4"})
