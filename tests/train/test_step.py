from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from baichuan_jax.core import machine
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import apply, init_params, loss, param_axes
from baichuan_jax.model.execution import Batch
from baichuan_jax.model.loss import max_z
from baichuan_jax.parallel.config import AXES, AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.weights import choose_strategy
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.input import place
from baichuan_jax.train.optim import make_optimizer
from baichuan_jax.train.state import ShardedState
from baichuan_jax.train.step import accumulate, make_execution, make_step
from tests.train.small import MODEL, OPTIM, layout, learnable, setup

CFG = TrainConfig(steps=8, batch=8, length=16, compute_dtype="float32")


def curve(cfg: TrainConfig, layout) -> list[float]:
    _, state, step = setup(cfg, layout)
    losses = []
    for number in range(cfg.steps):
        state, values = step(state, place(layout, learnable(cfg.batch, cfg.length, number)))
        losses.append(float(values["loss"]))
    return losses


@pytest.fixture(scope="module")
def reference():
    return curve(CFG, layout(1))


def test_it_learns(reference):
    assert reference[0] == pytest.approx(np.log(64), abs=0.1)
    assert reference[-1] < reference[0] - 0.1


@pytest.mark.parametrize(
    ("devices", "axes"),
    [
        pytest.param(2, {"fsdp": 2}, marks=pytest.mark.slow),
        pytest.param(4, {"data": 2, "fsdp": 2}, marks=pytest.mark.slow),
        pytest.param(8, {"data": 8, "fsdp": 1}, marks=pytest.mark.slow),
        (8, {"fsdp": 8}),
        pytest.param(8, {"tensor": 2, "fsdp": 4}, marks=pytest.mark.slow),
        (8, {"data": 2, "fsdp": 2, "tensor": 2}),
        (8, {"fsdp": 2, "context": 2, "tensor": 2}),
    ],
)
def test_every_mesh_gives_the_same_loss_curve(reference, devices, axes):
    np.testing.assert_allclose(curve(CFG, layout(devices, **axes)), reference, rtol=2e-5)


@pytest.mark.parametrize(
    ("axes", "embed", "staged"),
    [
        ({"data": 2, "fsdp": 4}, ("fsdp", "data"), True),
        ({"data": 1, "fsdp": 8}, ("fsdp", "data"), False),  # one axis
        ({"data": 2, "fsdp": 4}, "fsdp", False),  # replicas to be summed over
        ({"data": 2, "fsdp": 3}, ("fsdp", "data"), False),  # no power of 2
        ({"data": 8, "fsdp": 8}, ("fsdp", "data"), False),  # more devices than the hidden size has elements
    ],
)
def test_the_weight_strategy_of_a_mesh(monkeypatch, axes, embed, staged):
    lay = Layout(Mesh(np.resize(jax.devices(), MeshConfig(**axes).sizes()), AXES), AxisRules(embed=embed))
    assert choose_strategy(MODEL.hidden, lay) == "xla"
    monkeypatch.setattr(Layout, "platform", "tpu")
    assert choose_strategy(MODEL.hidden, lay) == ("staged" if staged else "xla")


@pytest.mark.slow
def test_the_staged_strategy_gives_the_same_loss_curve(reference, monkeypatch):
    monkeypatch.setattr("baichuan_jax.train.step.choose_strategy", lambda hidden, layout: "staged")
    lay = layout(8, AxisRules(embed=("fsdp", "data"), table_embed=("tensor", "fsdp", "data")), data=2, fsdp=2, tensor=2)
    np.testing.assert_allclose(curve(replace(CFG, accumulate=2), lay), reference, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_gives_the_same_loss_curve(reference, accumulate):
    cfg = TrainConfig(steps=8, batch=8, length=16, compute_dtype="float32", accumulate=accumulate)
    np.testing.assert_allclose(curve(cfg, layout(2, fsdp=2)), reference, rtol=2e-5)


def test_parameters_and_both_moments_are_laid_out_by_the_rules():
    """On 2 x 2 x 2, after init and again after a step: no leaf may be silently replicated."""
    lay = layout(8, data=2, fsdp=2, tensor=2)
    _, state, step = setup(CFG, lay)
    after, _ = step(state, place(lay, learnable(CFG.batch, CFG.length, 0)))
    _, fresh, _ = setup(CFG, lay)
    for state in (fresh, after):
        adam = next(part for part in jax.tree.leaves(state.optimizer, is_leaf=is_adam) if is_adam(part))
        for tree in (state.params, adam.mu, adam.nu):
            jax.tree.map(assert_by_rules, tree, param_axes(MODEL), is_leaf=lambda node: isinstance(node, jax.Array))
    table = fresh.params["embed"]["table"]
    assert table.addressable_shards[0].data.shape == (MODEL.vocab, MODEL.hidden // 4)


def is_adam(node) -> bool:
    return hasattr(node, "mu") and hasattr(node, "nu")


def assert_by_rules(array: jax.Array, axes: tuple[str, ...]) -> None:
    by_hand = {"table_embed": ("tensor", "fsdp"), "embed": "fsdp", "heads": "tensor", "mlp": "tensor"}
    by_hand |= {"vocab": "tensor", "kv_heads": "tensor"}
    spec = jax.sharding.PartitionSpec(*(by_hand.get(axis) for axis in axes))
    expected = jax.sharding.NamedSharding(array.sharding.mesh, spec)
    assert array.sharding.is_equivalent_to(expected, array.ndim), (axes, array.sharding)


@pytest.mark.parametrize("devices", [1, 8])
def test_bfloat16_compute_keeps_float32_masters(devices):
    """On several devices of a CPU too, where XLA aborts the process if it is to sum bfloat16 over them by `psum`."""
    cfg = TrainConfig(steps=8, batch=8, length=16, compute_dtype="bfloat16")
    lay = layout(devices, fsdp=devices)
    _, state, step = setup(cfg, lay)
    state, values = step(state, place(lay, learnable(8, 16, 0)))
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state.params, state.optimizer)) if leaf.ndim}
    assert dtypes == {np.dtype("float32")}
    assert float(values["loss"]) == pytest.approx(np.log(64), abs=0.1)


@pytest.mark.parametrize(
    ("flags", "devices", "trains", "dtype"),
    [
        ("fpu avx512_bf16 arat", 1, True, "bfloat16"),
        ("fpu avx512_bf16 arat", 1, False, "float32"),
        ("fpu avx512_bf16 arat", 8, True, "float32"),
        ("fpu avx512_bf16x", 1, True, "float32"),
        (None, 1, True, "float32"),
    ],
)
def test_auto_is_bfloat16_to_train_on_a_processor_that_has_it(monkeypatch, tmp_path, flags, devices, trains, dtype):
    monkeypatch.setattr(machine, "CPUINFO", str(tmp_path / "cpuinfo"))
    if flags:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 1\n")
    assert make_execution(TrainConfig(), MODEL, layout(devices, fsdp=devices), trains=trains).dtype == dtype


def test_a_batch_that_does_not_split():
    with pytest.raises(UserError, match=r"batch / accumulate = 2: expected a multiple of the 8 devices"):
        setup(TrainConfig(batch=8, accumulate=4), layout(8))


def test_max_z_keeps_logits_small_and_is_not_reported(reference):
    """The first loss is that without it; after a few steps the largest logits are below those of the start."""
    cfg, lay = TrainConfig(steps=8, batch=8, length=16, compute_dtype="float32", accumulate=2, max_z=10.0), layout(1)
    _, state, step = setup(cfg, lay)
    largest = lambda state: float(max_z(apply(MODEL, state.params, learnable(8, 16, 0))).mean())
    before, losses = largest(state), []
    for number in range(cfg.steps):
        state, values = step(state, place(lay, learnable(8, 16, number)))
        losses.append(float(values["loss"]))
    assert losses[0] == pytest.approx(reference[0], rel=1e-6)
    assert losses[-1] != pytest.approx(reference[-1], rel=1e-4)
    assert largest(state) < before


def ragged(seed: int, rows: int) -> Batch:
    """Return rows of which the second half counts a few targets only."""
    batch = learnable(rows, 16, seed)
    counts = np.where(np.arange(rows) < rows // 2, 16, 2)
    return batch._replace(weights=(np.arange(16) < counts[:, None]).astype(np.float32))


def mean_of_means(objective, params, batches):
    """Accumulate as is wrong under ragged masks: the mean of the means of microbatches."""
    count = jax.tree.leaves(batches)[0].shape[0]
    parts = [jax.tree.map(lambda x, n=number: x[n], batches) for number in range(count)]
    gradient = jax.jit(jax.grad(objective, has_aux=True))
    found = [gradient(params, part) for part in parts]
    means = [jax.tree.map(lambda g, count=sums.count: g / count, grads) for grads, sums in found]
    return jax.tree.map(lambda *leaves: sum(leaves) / count, *means)


def test_accumulation_under_ragged_masks_is_the_whole_batch():
    """Relative L2 distance of every leaf; the mean of the means of microbatches is told apart."""
    model_cfg = replace(MODEL, layers=1, remat="none")
    params = init_params(model_cfg, jax.random.key(0))
    batch = jax.tree.map(jnp.asarray, ragged(0, 8))
    objective = lambda params, batch: (lambda sums: (sums.minimised, sums))(loss(model_cfg, params, batch))
    divided = lambda found: jax.tree.map(lambda g: g / found[0].count, found[1])
    run = lambda parts: jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)
    added_up = jax.jit(lambda batches: divided(accumulate(objective, params, batches)))
    whole = added_up(run(1))
    distance = lambda a, b: float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
    right = jax.tree.map(distance, added_up(run(4)), whole)
    wrong = jax.tree.map(distance, mean_of_means(objective, params, run(4)), whole)
    assert max(jax.tree.leaves(right)) < 5e-6
    assert min(jax.tree.leaves(wrong)) > 1e-2


def test_losses_of_domains():
    lay = layout(2, fsdp=2)
    optimizer = make_optimizer(OPTIM, CFG.steps, param_axes(MODEL))
    sharded, exe = ShardedState(MODEL, optimizer, lay), make_execution(CFG, MODEL, lay, domains=3)
    step = make_step(CFG, MODEL, optimizer, sharded, exe)
    batch = learnable(8, 16, 0)._replace(domains=np.array([0, 2] * 4, np.int32))
    _, values = step(sharded.init(0), place(lay, batch))
    np.testing.assert_array_equal(values["domain_count"], [64, 0, 64])
    assert float(values["domain_nll"].sum() / 128) == pytest.approx(float(values["loss"]), rel=1e-6)
