"""Steps in bfloat16 on one device, as 'auto' has them on a CPU that multiplies it, learn as those in float32 do."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from baichuan_jax.model.config import AttentionConfig, HeadConfig, LoraConfig
from baichuan_jax.model.decoder import init_params
from baichuan_jax.train.adapt import adapt
from baichuan_jax.train.config import OptimConfig, TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import make_execution, make_step
from tests.train.small import MODEL, OPTIM, layout, learnable, setup

GROUPED = replace(MODEL, attention=AttentionConfig(kv_heads=2))
TIED = replace(MODEL, head=HeadConfig(tied=True))
slow = pytest.mark.slow


def losses(
    dtype: str, model=MODEL, optim: OptimConfig = OPTIM, rows: int = 8, length: int = 16, **changes
) -> list[float]:
    cfg = TrainConfig(steps=8, batch=rows, length=length, compute_dtype=dtype, **changes)
    lay = layout(1)
    _, state, step = setup(cfg, lay, model, optim)
    found = []
    for number in range(cfg.steps):
        state, values = step(state, place(lay, learnable(rows, length, number)))
        found.append(float(values["loss"]))
    return found


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"accumulate": 4, "max_z": 1e-2, "model": TIED}, id="microbatches, tied"),
        pytest.param(
            {"model": replace(GROUPED, remat="block"), "rows": 3, "length": 7}, id="odd sizes, grouped", marks=slow
        ),
        pytest.param({"rows": 1, "length": 1}, id="one token", marks=slow),
        pytest.param({"optim": replace(OPTIM, optimizer="muon")}, id="muon", marks=slow),
        pytest.param({"optim": replace(OPTIM, moments="bfloat16")}, id="moments", marks=slow),
        pytest.param(
            {"model": replace(TIED, layers=5, remat="products")}, id="more layers than are unrolled", marks=slow
        ),
    ],
)
def test_losses(changes):
    ours, right = losses("bfloat16", **changes), losses("float32", **changes)
    np.testing.assert_allclose(ours, right, rtol=0.02)
    assert ours[-1] < ours[0]


@pytest.mark.parametrize(
    "base",
    [pytest.param("compute", marks=slow), pytest.param("bfloat16", marks=slow), pytest.param("int8", marks=slow)],
)
def test_adapters(base):
    lora = LoraConfig(rank=4, drop=0.1, base=base)
    found = {}
    for dtype in ("float32", "bfloat16"):
        cfg, lay = TrainConfig(steps=8, batch=8, length=16, compute_dtype=dtype), layout(1)
        exe = make_execution(cfg, MODEL, lay)
        frozen = adapt(lora, MODEL, init_params(MODEL, jax.random.key(0)), exe.dtype)
        optimizer = make_optimizer(OPTIM, cfg.steps, frozen.axes)
        sharded = ShardedState(MODEL, optimizer, lay, frozen)
        step, state = make_step(cfg, MODEL, optimizer, sharded, exe), sharded.init(0)
        for number in range(cfg.steps):
            state, values = step(state, place(lay, learnable(8, 16, number)), frozen.frozen)
        found[dtype] = float(values["loss"])
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=0.02)
