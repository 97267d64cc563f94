"""One optimizer step. A microbatches, B sequences, T positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.core.errors import require
from baichuan_jax.core.machine import multiplies_bfloat16
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, loss
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.loss import Sums
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.weights import choose_strategy
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.options import options
from baichuan_jax.train.state import ShardedState, TrainState

UNROLLED = 4  # layers, on one CPU device: a loop stacks and slices what the backward pass needs; a tenth of a step
Metrics = dict[str, jax.Array]


def make_execution(
    train_cfg: TrainConfig, model_cfg: DecoderConfig, layout: Layout, domains: int = 0, trains: bool = True
) -> Execution:
    """Return how a config computes on a mesh.

    domains: number of domains of the training text. trains: whether it is to train, and not to score or generate.
    """
    on_one_cpu = layout.platform == "cpu" and layout.mesh.size == 1
    return Execution(
        compute_dtype(train_cfg, layout, trains),
        layout,
        choose_strategy(model_cfg.hidden, layout),
        train_cfg.logits_mb * 2**20,
        train_cfg.inner_mb * 2**20,
        domains,
        UNROLLED if trains and on_one_cpu else 1,
    )


def compute_dtype(cfg: TrainConfig, layout: Layout, trains: bool) -> jnp.dtype:
    """Return TrainConfig.compute_dtype, or what "auto" is on this mesh.

    On CPUs it is float32, except to train on one that multiplies bfloat16; others emulate it. Generation would convert
    all weights for the few tokens of a step. Several devices of CPUs check what others compute, and may differ.
    """
    if cfg.compute_dtype != "auto":
        return jnp.dtype(cfg.compute_dtype)
    is_native = layout.platform != "cpu" or (trains and layout.mesh.size == 1 and multiplies_bfloat16())
    return jnp.dtype("bfloat16" if is_native else "float32")


def check_split(cfg: TrainConfig, model_cfg: DecoderConfig, layout: Layout) -> None:
    """Raise UserError unless every device gets as many rows of each microbatch, tokens of a row, and heads."""
    rows = cfg.batch // cfg.accumulate
    expected = f"a multiple of the {layout.batch_shards} devices that split the batch"
    require(rows % layout.batch_shards == 0, "TrainConfig.batch / accumulate", rows, expected)
    shards = layout.num_shards("length")
    expected = f"a multiple of the {shards} devices that split it"
    require(cfg.length % shards == 0, "TrainConfig.length", cfg.length, expected)
    heads = shards * layout.num_shards("kv_heads")
    require(
        shards == 1 or model_cfg.kv_heads % heads == 0,
        "MeshConfig.context * tensor",
        heads,
        f"a divisor of the {model_cfg.kv_heads} heads of keys and values, which attention is split by",
    )


def make_step(
    cfg: TrainConfig,
    model_cfg: DecoderConfig,
    optimizer: optax.GradientTransformation,
    state: ShardedState,
    exe: Execution,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Return the jitted step (state, Batch of [B, T]) -> (state, metrics); the old state is donated.

    If `state` trains something beside frozen parameters, these are a third argument.
    Metrics: "loss" in nats per target, "grad_norm", and "domain_nll" and "domain_count" of `Sums` if `exe` has domains.
    """
    layout, adaptation = exe.layout, state.adaptation
    check_split(cfg, model_cfg, layout)

    def step(state: TrainState, batch: Batch, *frozen: Params) -> tuple[TrainState, Metrics]:
        keys = None
        if adaptation:
            keys = jax.random.split(jax.random.fold_in(jax.random.key(cfg.seed), state.step), cfg.accumulate)

        def objective(params: Params, given: tuple[Batch, jax.Array | None]) -> tuple[jax.Array, Sums]:
            rows, key = given
            whole = adaptation.attach(*frozen, params, key) if adaptation else params
            sums = loss(model_cfg, whole, _by_token(rows, layout), exe, cfg.max_z)
            return sums.minimised, sums

        sums, grads = accumulate(objective, state.params, (_microbatches(batch, cfg.accumulate, layout), keys))
        grads = jax.tree.map(lambda g: g / sums.count, grads)
        updates, moments = optimizer.update(grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {"loss": sums.nll / sums.count, "grad_norm": optax.tree.norm(grads)}
        if exe.domains:
            metrics |= {"domain_nll": sums.domain_nll, "domain_count": sums.domain_count}
        return TrainState(state.step + 1, params, moments), metrics

    frozen = [jax.tree.map(lambda x: x.sharding, adaptation.frozen)] if adaptation else []
    return jax.jit(
        step,
        in_shardings=(state.shardings, layout.sharding(("batch",)), *frozen),
        out_shardings=(state.shardings, layout.replicated),
        donate_argnums=0,
        compiler_options=options(model_cfg, cfg, exe),
    )


def _by_token(batch: Batch, layout: Layout) -> Batch:
    """Split sequences over the devices of the context axis, too."""
    axes = lambda x: ("batch", "length")[: x.ndim]
    return jax.tree.map(lambda x: layout.constrain(x, *axes(x)), batch)


def _microbatches(batch: Batch, count: int, layout: Layout) -> Batch:
    """Reshape [A * B, ...] to [A, B, ...], every device keeping its own rows."""

    def split(x: jax.Array) -> jax.Array:
        x = x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1)
        return jax.vmap(lambda rows: layout.constrain(rows, "batch"))(x)

    return jax.tree.map(split, batch)


def accumulate(objective: Callable[[Params, Any], tuple[jax.Array, Sums]], params: Params, batches: Any) -> tuple:
    """Return (sums, gradients of what is minimised), added up over microbatches: leaves of [A, B, ...].

    Sums are not divided here: microbatches may have different counts.
    """
    grad = jax.grad(objective, has_aux=True)
    first = jax.tree.map(lambda x: x[0], batches)
    if jax.tree.leaves(batches)[0].shape[0] == 1:
        return grad(params, first)[::-1]

    def add(totals: tuple, batch: Any) -> tuple[tuple, None]:
        return jax.tree.map(jnp.add, totals, grad(params, batch)[::-1]), None

    zero_sums = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(objective, params, first)[1])
    return jax.lax.scan(add, (zero_sums, jax.tree.map(jnp.zeros_like, params)), batches)[0]
