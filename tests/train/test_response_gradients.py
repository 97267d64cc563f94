"""The gradient of ragged responses is that of the mean over the tokens of the whole batch, however it is computed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from baichuan_jax.model.config import LoraConfig
from baichuan_jax.model.decoder import init_params, param_axes
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.lora import init_adapters
from baichuan_jax.train.adapt import adapt
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.state import ShardedState, TrainState
from baichuan_jax.train.step import make_execution, make_step
from tests.train.small import MODEL, layout

ROWS, LENGTH = 32, 24
KEEP = optax.trace(0.0)  # its state is the gradient
LORA = LoraConfig(rank=4)


def ragged() -> Batch:
    """Return sequences with responses of 1 to 20 tokens: some rows count twenty times as much as others."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 64, (ROWS, LENGTH + 1)).astype(np.int32)
    starts, sizes = rng.integers(1, 4, ROWS), np.where(np.arange(ROWS) % 4, rng.integers(1, 4, ROWS), 20)
    at = np.arange(LENGTH)
    weights = ((at >= starts[:, None]) & (at < (starts + sizes)[:, None])).astype(np.float32)
    segments = (at < (starts + sizes)[:, None]).astype(np.int32)
    positions = np.where(segments, at, 0).astype(np.int32)
    return Batch(tokens[:, :-1], tokens[:, 1:], weights, segments, positions, np.zeros(ROWS, np.int32))


BATCH = ragged()


def gradient(lay, count: int, lora: bool, batch: Batch = BATCH):
    """Return the gradient as the train step computes it in `count` microbatches."""
    rows, length = batch.tokens.shape
    cfg = TrainConfig(batch=rows, length=length, accumulate=count, steps=4, compute_dtype="float32")
    exe = make_execution(cfg, MODEL, lay)
    params = jax.device_put(init_params(MODEL, jax.random.key(0)), shardings(lay))
    if lora:
        frozen = adapt(LORA, MODEL, params, exe.dtype)
        sharded = ShardedState(MODEL, KEEP, lay, frozen)
        given = jax.tree.map(lambda x: x + 0.02, init_adapters(LORA, MODEL, jax.random.key(1)))
        params = jax.device_put(given, sharded.shardings.params)
    else:
        sharded = ShardedState(MODEL, KEEP, lay)
    state = jax.device_put(TrainState(jnp.zeros((), jnp.int32), params, KEEP.init(params)), sharded.shardings)
    step = make_step(cfg, MODEL, KEEP, sharded, exe)
    after, _ = step(state, place(lay, batch), *([frozen.frozen] if lora else []))
    return jax.device_get(after.optimizer.trace)


def shardings(lay):
    return lay.shardings(param_axes(MODEL), jax.eval_shape(lambda: init_params(MODEL, jax.random.key(0))))


def distance(found, expected) -> float:
    """Return the largest relative L2 distance of a leaf."""
    apart = jax.tree.map(lambda x, y: np.linalg.norm(x - y) / np.linalg.norm(y), found, expected)
    return max(jax.tree.leaves(apart))


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="all parameters"), pytest.param(True, id="adapters", marks=pytest.mark.slow)],
)
def lora(request):
    return request.param


@pytest.fixture(scope="module")
def whole(lora):
    return gradient(layout(1), 1, lora)


@pytest.mark.parametrize("count", [4, 8, 32])
def test_microbatches_on_one_device(whole, lora, count):
    assert distance(gradient(layout(1), count, lora), whole) < 5e-6


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(("axes", "bound"), [({"fsdp": 8}, 5e-6), ({"fsdp": 4, "tensor": 2}, 2e-5)])
def test_microbatches_on_meshes(whole, lora, axes, bound, count):
    assert distance(gradient(layout(8, **axes), count, lora), whole) < bound


def test_packed_rows_have_the_gradient_of_rows_of_their_own(whole, lora):
    """Two sequences in a row: the second has its own segment, and its positions begin anew."""
    second = np.arange(LENGTH * 2) >= LENGTH
    packed = [x.reshape(ROWS // 2, 2 * LENGTH) for x in BATCH[:3]]
    segments = np.where(BATCH.segments.reshape(ROWS // 2, -1) > 0, 1 + second, 0).astype(np.int32)
    positions = BATCH.positions.reshape(ROWS // 2, -1)
    batch = Batch(*packed, segments, positions, np.zeros(ROWS // 2, np.int32))
    assert distance(gradient(layout(1), 1, lora, batch), whole) < 5e-6


def test_a_mean_per_microbatch_is_another_gradient(whole, lora):
    """So the tests above would find it: weights that sum to the same in each microbatch give that mean."""
    parts = BATCH.weights.reshape(-1, 4, LENGTH)  # a microbatch has every fourth row
    scaled = (parts / parts.sum((0, 2), keepdims=True)).reshape(ROWS, LENGTH) * BATCH.weights.sum() / 4
    assert distance(gradient(layout(1), 4, lora, BATCH._replace(weights=scaled)), whole) > 1e-2
