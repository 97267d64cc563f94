"""What must hold for every variant: causality, the cache, sharding with remat, and an exact count of FLOPs."""

import math
from dataclasses import replace
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.model.attention.patterns import PATTERNS
from baichuan_jax.model.decoder import (
    apply,
    apply_cached,
    init_cache,
    init_params,
    loss,
    param_axes,
    param_shapes,
    parameter_count,
)
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.feedforward import FEED_FORWARDS
from baichuan_jax.model.flops import flops_per_token
from baichuan_jax.model.layers import NORMS
from baichuan_jax.model.loss import token_nll
from baichuan_jax.model.positions import POSITIONS, SCALINGS
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.model.variants import VARIANTS, distinct_tokens, sees

LENGTH = 17
DTYPES = ("float32", "bfloat16")
# The rest is compiled in the slow suite.
DEFAULT = (
    "learned, silu, tied normalised head",
    "yarn, reglu, strided, capped, normalised head",
    "alibi, strided and fixed in turn",
)
every_variant = pytest.mark.parametrize("cfg", VARIANTS.values(), ids=VARIANTS.keys())
slow = {name: () if name in DEFAULT else (pytest.mark.slow,) for name in VARIANTS}
some_by_default = pytest.mark.parametrize(
    "cfg", [pytest.param(cfg, id=name, marks=slow[name]) for name, cfg in VARIANTS.items()]
)


@some_by_default
def test_gradients_reach_exactly_the_positions_that_the_patterns_show(cfg):
    """Of every logit with respect to the vector of every token: no more (causality) and no less."""
    params, tokens = init_params(cfg, jax.random.key(0)), distinct_tokens(LENGTH)
    elsewhere = jnp.arange(cfg.vocab) >= LENGTH  # logits of other tokens, so that a tied head leads to other rows

    def outputs(table):
        logits = apply(cfg, params | {"embed": {"table": table}}, Batch(tokens))[0]
        return logits @ (elsewhere * jnp.sin(jnp.arange(cfg.vocab)))

    reached = np.abs(jax.jit(jax.jacrev(outputs))(params["embed"]["table"])[:, :LENGTH]).max(axis=-1) > 0
    hops = [sees(cfg, layer, LENGTH) | np.eye(LENGTH, dtype=bool) for layer in range(cfg.layers)]
    np.testing.assert_array_equal(reached, reduce(lambda path, hop: hop.astype(int) @ path > 0, hops))


@some_by_default
def test_the_cache_gives_the_logits_of_the_whole_sequence(cfg):
    """Rows of 5 and 13 tokens, right-padded, then the rest one at a time."""
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, 20), 0, cfg.vocab)
    whole = apply(cfg, params, Batch(tokens))
    step = jax.jit(
        lambda tokens, positions, cache: apply_cached(cfg, params, Batch(tokens, positions=positions), cache)
    )
    lengths, size = np.array([5, 13]), 20
    place = np.broadcast_to(np.arange(13), (2, 13))
    logits, cache = step(tokens[:, :13], np.where(place < lengths[:, None], place, size), init_cache(cfg, 2, size))
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(logits[row, :length], whole[row, :length], atol=1e-5)
    for extra in range(7):
        at = lengths + extra
        logits, cache = step(tokens[np.arange(2), at][:, None], at[:, None], cache)
        np.testing.assert_allclose(logits[:, 0], whole[np.arange(2), at], atol=1e-5)


@some_by_default
def test_sharding_and_remat_leave_the_gradients_alone(cfg):
    """On 2 x 2 x 2 devices with remat, against one device without; one shared head cannot be split, so it is not.

    And every parameter learns.
    """
    rules = AxisRules(kv_heads="tensor" if cfg.kv_heads % 2 == 0 else None)
    layout = Layout(make_mesh(MeshConfig(data=2, fsdp=2, tensor=2)), rules)
    shardings = layout.shardings(param_axes(cfg), param_shapes(cfg))
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (4, LENGTH), 0, cfg.vocab)

    def grads(cfg, layout, params):
        loss = lambda p: token_nll(apply(cfg, p, Batch(tokens[:, :-1]), Execution(layout=layout)), tokens[:, 1:]).mean()
        return jax.jit(jax.value_and_grad(loss))(params)

    alone = grads(cfg, None, params)
    spread = grads(replace(cfg, remat="block"), layout, jax.device_put(params, shardings))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), alone, spread)
    assert all(np.abs(grad).max() > 1e-6 for grad in jax.tree.leaves(alone[1]))


@some_by_default
def test_gradients_in_bfloat16(cfg):
    """Where the processor multiplies bfloat16, XLA refuses some layouts of a product when the program runs."""
    params = init_params(cfg, jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (3, LENGTH), 0, cfg.vocab)

    def grads(dtype):
        exe, batch = Execution(dtype=jnp.dtype(dtype)), Batch(tokens[:, :-1], tokens[:, 1:])
        return jax.jit(jax.grad(lambda p: loss(cfg, p, batch, exe).minimised))(params)

    flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(grads(dtype))]) for dtype in DTYPES]
    assert np.linalg.norm(flat[1] - flat[0]) < 0.1 * np.linalg.norm(flat[0])


@every_variant
def test_every_parameter_names_each_of_its_axes(cfg):
    shapes, axes = param_shapes(cfg), param_axes(cfg)
    is_axes = lambda node: isinstance(node, tuple)
    assert jax.tree.structure(axes, is_leaf=is_axes) == jax.tree.structure(shapes)
    jax.tree.map(lambda names, x: np.testing.assert_equal(len(names), x.ndim), axes, shapes, is_leaf=is_axes)
    assert all(leaf[0] == "layers" for leaf in jax.tree.leaves(axes["blocks"], is_leaf=is_axes))


@every_variant
def test_flops_are_those_of_the_products_in_the_program(cfg):
    """Counted in the forward pass over the full square; the backward pass has twice as many."""
    full = replace(cfg, attention=replace(cfg.attention, pattern=("full",), window=0, summary=0))
    shapes = param_shapes(full)
    program = jax.make_jaxpr(lambda p: apply(full, p, Batch(distinct_tokens(LENGTH))))(shapes)
    is_axes = lambda node: isinstance(node, tuple)
    names = jax.tree.leaves(param_axes(full), is_leaf=is_axes)
    norms = sum(leaf.size for axes, leaf in zip(names, jax.tree.leaves(shapes)) if "norm" in axes)
    expected = 3 * (product_flops(program.jaxpr) / LENGTH + 2 * norms)
    assert flops_per_token(full, LENGTH, causal=False) == pytest.approx(expected, rel=1e-12)


@every_variant
def test_sparse_flops_count_the_pairs_that_are_seen(cfg):
    full = replace(cfg, attention=replace(cfg.attention, pattern=("full",), window=0, summary=0))
    seen = sum(sees(cfg, layer, LENGTH).sum() for layer in range(cfg.layers))
    saved = cfg.layers * LENGTH**2 - seen
    difference = flops_per_token(full, LENGTH, causal=False) - flops_per_token(cfg, LENGTH, causal=True)
    assert difference == pytest.approx(12 * cfg.heads * cfg.head_dim * saved / LENGTH, rel=1e-9)


def product_flops(jaxpr) -> int:
    """Two for every multiplication of every matrix product, in loops as often as they run."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            depth = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            total += 2 * equation.outvars[0].aval.size * depth
        times = equation.params.get("length", 1)
        for inner in jax.core.jaxprs_in_params(equation.params):
            total += times * product_flops(inner)
    return total


def test_every_feed_forward_has_equal_parameters_when_asked():
    counts = {
        kind: parameter_count(replace(VARIANTS["baichuan"], inner=0, feed_forward=kind)) for kind in FEED_FORWARDS
    }
    assert len(set(counts.values())) == 1


def test_every_entry_of_every_table_is_tested():
    used = VARIANTS.values()
    assert {cfg.positions.kind for cfg in used} == set(POSITIONS)
    assert {cfg.positions.scaling for cfg in used} == set(SCALINGS)
    assert {pattern for cfg in used for pattern in cfg.attention.pattern} == set(PATTERNS)
    assert {cfg.feed_forward for cfg in used} == set(FEED_FORWARDS)
    assert {cfg.norm for cfg in used} == set(NORMS)
