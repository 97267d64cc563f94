"""One optimizer step. A microbatches, B sequences, T positions."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from baichuan_jax.core.errors import require
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, loss
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.options import options, sending
from baichuan_jax.train.state import TrainState, state_shardings

Metrics = dict[str, jax.Array]


def compute_dtype(name: str, platform: str | None = None) -> jnp.dtype:
    """Resolve TrainConfig.compute_dtype for a platform: that of the devices at hand, unless another is named."""
    if name == "auto":
        name = "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"
    return jnp.dtype(name)


def check_split(cfg: TrainConfig, model: DecoderConfig, layout: Layout) -> None:
    """Raise UserError unless every device gets as many rows of each microbatch, tokens of a row, and heads."""
    rows = cfg.batch // cfg.accumulate
    expected = f"a multiple of the {layout.batch_shards} devices that split the batch"
    require(rows % layout.batch_shards == 0, "TrainConfig.batch / accumulate", rows, expected)
    num_shards, heads = layout.num_shards("length"), layout.num_shards("length") * layout.num_shards("kv_heads")
    require(
        cfg.length % num_shards == 0,
        "TrainConfig.length",
        cfg.length,
        f"a multiple of the {num_shards} devices that split it",
    )
    require(
        num_shards == 1 or model.kv_heads % heads == 0,
        "MeshConfig.context * tensor",
        heads,
        f"a divisor of the {model.kv_heads} heads of keys and values, which attention is split by",
    )


def make_step(
    cfg: TrainConfig, model: DecoderConfig, optimizer: optax.GradientTransformation, layout: Layout
) -> Callable[[TrainState, jax.Array], tuple[TrainState, Metrics]]:
    """Return the jitted step (state, windows [B, T + 1]) -> (state, metrics); the old state is donated."""
    check_split(cfg, model, layout)
    dtype = compute_dtype(cfg.compute_dtype, layout.platform)
    kernels = sending(model, layout)

    def objective(params: Params, windows: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Return what is minimised, and (sum, count) of what is reported."""
        split = {"sending": kernels, "chunk_bytes": cfg.logits_mb * 2**20, "inner_bytes": cfg.inner_mb * 2**20}
        tokens, targets = (layout.constrain(x, "batch", "length") for x in (windows[:, :-1], windows[:, 1:]))
        minimised, total = loss(model, params, tokens, targets, dtype=dtype, layout=layout, max_z=cfg.max_z, **split)
        return minimised, (total, jnp.float32(targets.size))

    def step(state: TrainState, windows: jax.Array) -> tuple[TrainState, Metrics]:
        (total, count), grads = _accumulate(objective, state.params, _split(windows, cfg.accumulate, layout))
        grads = jax.tree.map(lambda g: g / count, grads)
        updates, moments = optimizer.update(grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {"loss": total / count, "grad_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, moments), metrics

    shardings = state_shardings(model, optimizer, layout)
    batch = layout.sharding(("batch",))
    metrics = {"loss": layout.replicated, "grad_norm": layout.replicated}
    return jax.jit(
        step,
        in_shardings=(shardings, batch),
        out_shardings=(shardings, metrics),
        donate_argnums=0,
        compiler_options=options(model, cfg, layout, dtype),
    )


def _split(windows: jax.Array, accumulate: int, layout: Layout) -> jax.Array:
    """Reshape [A * B, T] to [A, B, T], every device keeping its own rows."""
    windows = windows.reshape(-1, accumulate, windows.shape[-1]).swapaxes(0, 1)
    return jax.vmap(lambda rows: layout.constrain(rows, "batch"))(windows)


def _accumulate(loss: Callable, params: Params, microbatches: jax.Array) -> tuple[tuple, Params]:
    """Sum (total, count) and the gradients of what is minimised over microbatches [A, B, T + 1]."""
    grad = jax.grad(loss, has_aux=True)
    if microbatches.shape[0] == 1:
        return grad(params, microbatches[0])[::-1]

    def add(sums: tuple, windows: jax.Array) -> tuple[tuple, None]:
        return jax.tree.map(jnp.add, sums, grad(params, windows)[::-1]), None

    zero = jnp.zeros(())
    start = ((zero, zero), jax.tree.map(jnp.zeros_like, params))
    return jax.lax.scan(add, start, microbatches)[0]
