"""The decoder as pure functions over plain nested dicts of arrays.

Parameters are `{"blocks": {...}, "embed": {...}, "head": {...}}`, and "positions" if they are learned. Every leaf under
"blocks" has a leading axis "layers", over which `lax.scan` runs. `for_decoding` converts it to a list of layers, for
programs that run few tokens many times.

B batch, T positions, V vocabulary, L layers, S cache positions, K key/value heads, H head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.core.errors import require
from baichuan_jax.model.attention.attention import Attention
from baichuan_jax.model.config import DecoderConfig, Storage
from baichuan_jax.model.embed import Embed
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.feedforward import FeedForward
from baichuan_jax.model.head import Head
from baichuan_jax.model.layers import NORMS, Context
from baichuan_jax.model.loss import Objective, Sums, cross_entropy
from baichuan_jax.model.positions import POSITIONS, Positions
from baichuan_jax.model.storage import store_block, store_tables

Params = dict[str, Any]
Cache = dict[str, jax.Array] | list[dict[str, jax.Array]]
ONE_DEVICE = Execution()


def _keeps_products(primitive: Any, *_: Any, **params: Any) -> bool:
    """Return whether remat keeps what this primitive returned: products with weights, and cuDNN's attention."""
    is_product = jax.checkpoint_policies.dots_with_no_batch_dims_saveable(primitive, **params)
    return is_product or primitive.name == "dot_product_attention_fwd_wrapper"


KEPT = {"products": _keeps_products, "block": None}  # by DecoderConfig.remat


class Block(nnx.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, cfg: DecoderConfig, rngs: nnx.Rngs):
        self.attention_norm = NORMS[cfg.norm](cfg.hidden, cfg.norm_eps)
        self.attention = Attention(cfg, rngs)
        self.mlp_norm = NORMS[cfg.norm](cfg.hidden, cfg.norm_eps)
        self.mlp = FeedForward(cfg, rngs)

    def __call__(
        self, x_BTD: jax.Array, context: Context, cache: dict | None, pattern: str
    ) -> tuple[jax.Array, dict | None]:
        y_BTD, cache = self.attention(self.attention_norm(x_BTD), context, cache, pattern)
        x_BTD += y_BTD
        return x_BTD + self.mlp(self.mlp_norm(x_BTD), context.exe), cache


class Outer(NamedTuple):
    """The modules outside the blocks."""

    embed: Embed
    head: Head
    positions: Positions

    @classmethod
    def make(cls, cfg: DecoderConfig, rngs: nnx.Rngs) -> Outer:
        """Return new modules; their weights come from one random stream, in this order."""
        return cls(Embed(cfg, rngs), Head(cfg, rngs), POSITIONS[cfg.positions.kind](cfg, rngs))


@lru_cache
def _abstract_block(cfg: DecoderConfig) -> tuple[nnx.GraphDef, nnx.State]:
    """Return the structure of a block and its parameters as shapes; allocates nothing."""
    return nnx.split(nnx.eval_shape(lambda: Block(cfg, nnx.Rngs(0))))


@lru_cache
def _abstract_outer(cfg: DecoderConfig) -> dict[str, tuple[nnx.GraphDef, nnx.State]]:
    """Return the same for the modules outside the blocks, by name."""
    return {
        name: nnx.split(part) for name, part in nnx.eval_shape(lambda: Outer.make(cfg, nnx.Rngs(0)))._asdict().items()
    }


def _with_parameters(parts: dict[str, Any]) -> Params:
    """Return the non-empty dicts: most position schemes have no parameters."""
    return {name: part for name, part in parts.items() if part}


def init_params(cfg: DecoderConfig, key: jax.Array) -> Params:
    """Return fresh float32 parameters: normal(0, init_std) weights, norms of one."""
    pure = lambda module: nnx.to_pure_dict(nnx.state(module))
    outer_key, blocks_key = jax.random.split(key)
    layer_keys = jax.random.split(blocks_key, cfg.layers)
    blocks = jax.vmap(lambda key: pure(Block(cfg, nnx.Rngs(key))))(layer_keys)
    outer = {name: pure(part) for name, part in Outer.make(cfg, nnx.Rngs(outer_key))._asdict().items()}
    return {"blocks": blocks, **_with_parameters(outer)}


def param_axes(cfg: DecoderConfig) -> Params:
    """Return the logical axis names of every parameter, in the tree of `init_params`."""

    def axes(state: nnx.State, *leading: str) -> Params:
        is_param = lambda node: isinstance(node, nnx.Variable)
        return nnx.to_pure_dict(jax.tree.map(lambda p: leading + p.get_metadata("axes"), state, is_leaf=is_param))

    outer = {name: axes(state) for name, (_, state) in _abstract_outer(cfg).items()}
    return {"blocks": axes(_abstract_block(cfg)[1], "layers"), **_with_parameters(outer)}


def param_shapes(cfg: DecoderConfig) -> Params:
    """Return the parameters as `jax.ShapeDtypeStruct`; allocates nothing."""
    return jax.eval_shape(lambda: init_params(cfg, jax.random.key(0)))


def parameter_count(cfg: DecoderConfig) -> int:
    """Return the number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(param_shapes(cfg)))


def for_decoding(cfg: DecoderConfig, params: Params, storage: Storage, dtype: jnp.dtype) -> Params:
    """Return the parameters in the fastest form for `apply_cached`: "blocks" a list of layers, weights in `storage`.

    A scan copies the weights and the cache of a layer before it uses them, which takes most of a step at one token per
    row. A list is read in place, but takes longer to compile. dtype: of the computation.
    """

    @jax.jit
    def layers(blocks: Params) -> list[Params]:
        each = [jax.tree.map(itemgetter(number), blocks) for number in range(cfg.layers)]
        return [store_block(layer, storage, dtype) for layer in each]

    outer = {name: part for name, part in params.items() if name != "blocks"}
    return {"blocks": layers(params["blocks"]), **store_tables(outer, cfg, storage, dtype)}


def init_cache(cfg: DecoderConfig, batch: int, length: int, dtype: jnp.dtype = jnp.float32) -> Params:
    """Return an empty key/value cache of [L, B, K, S, H]; slot s holds position s."""
    shape = (cfg.layers, batch, cfg.kv_heads, length, cfg.head_dim)
    return {"key": jnp.zeros(shape, dtype), "value": jnp.zeros(shape, dtype)}


def apply(
    cfg: DecoderConfig,
    params: Params,
    batch: Batch,
    exe: Execution = ONE_DEVICE,
    places_BW: jax.Array | None = None,
) -> jax.Array:
    """Return next-token logits_BTV in float32 for whole sequences.

    places_BW: positions of each row to return logits for, [B, W, V]; default: all.
    """
    outer, x_BTD, _ = _forward(cfg, params, batch, exe)
    return outer.head.logits(_at(x_BTD, places_BW), outer.embed, exe)


def loss(cfg: DecoderConfig, params: Params, batch: Batch, exe: Execution = ONE_DEVICE, max_z: float = 0.0) -> Sums:
    """Return the loss of a batch as sums over its targets. max_z: weight of the max-z loss in the objective."""
    outer, x_BTD, _ = _forward(cfg, params, batch, exe)
    targets_BT, weights_BT = batch.targets, batch.weights
    if weights_BT is None:
        weights_BT = exe.constrain(jnp.ones(targets_BT.shape, jnp.float32), "batch", "length")
    objective = Objective(max_z, cfg.head.soft_cap, exe)
    head_DV = outer.head.weight(outer.embed, exe)
    minimised, nll, nll_BT = cross_entropy(outer.head.norm(x_BTD), head_DV, targets_BT, weights_BT, objective)
    sums = Sums(minimised, nll, jnp.sum(weights_BT))
    if not exe.domains:
        return sums
    of_domain = lambda x_BT: jnp.zeros(exe.domains, jnp.float32).at[batch.domains].add(jnp.sum(x_BT, axis=1))
    return sums._replace(domain_nll=of_domain(nll_BT * weights_BT), domain_count=of_domain(weights_BT))


def apply_cached(
    cfg: DecoderConfig,
    params: Params,
    batch: Batch,
    cache: Cache,
    exe: Execution = ONE_DEVICE,
    places_BW: jax.Array | None = None,
) -> tuple[jax.Array, Cache]:
    """Return (logits_BTV, cache) for tokens that continue those in the cache.

    batch.positions are absolute. A position >= the cache length marks padding: it is not stored, and its logits are
    meaningless. So the rows of a batch may have different lengths. cache: of `init_cache`; with parameters of
    `for_decoding` a list of {"key", "value"} of [B, K, S, H], as `storage.empty` makes them. places_BW: as in `apply`.
    """
    outer, x_BTD, cache = _forward(cfg, params, batch, exe, cache)
    return outer.head.logits(_at(x_BTD, places_BW), outer.embed, exe), cache


def probe(
    cfg: DecoderConfig, outer_params: Params, layer: Callable[[int], Params], tokens_BT: jax.Array
) -> tuple[jax.Array, list[jax.Array]]:
    """Compute the result of `apply` in float32, one layer at a time, for models that do not fit in memory.

    outer_params: all parameters but "blocks". layer(i): the block parameters of layer i. Return
    logits_BTV and the hidden states, each [B, T, D]: the input of every layer, and the normalised output of the last.
    """
    batch = Batch(tokens_BT)
    outer, context = _open(cfg, outer_params, batch, ONE_DEVICE)
    hidden = [_embed(outer, batch, context)]
    for number in range(cfg.layers):
        block = nnx.merge(_abstract_block(cfg)[0], layer(number))
        pattern = cfg.attention.pattern[number % len(cfg.attention.pattern)]
        x_BTD, _ = block(hidden[-1], context, None, pattern)
        hidden.append(jax.block_until_ready(x_BTD))  # or layers pile up, waiting
    return outer.head.logits(hidden[-1], outer.embed, ONE_DEVICE), [*hidden[:-1], outer.head.norm(hidden[-1])]


def _at(x_BTD: jax.Array, places_BW: jax.Array | None) -> jax.Array:
    """Return the vectors of these positions of each row, or of all."""
    return x_BTD if places_BW is None else jnp.take_along_axis(x_BTD, places_BW[:, :, None], axis=1)


def _forward(
    cfg: DecoderConfig, params: Params, batch: Batch, exe: Execution, cache: Cache | None = None
) -> tuple[Outer, jax.Array, Cache | None]:
    """Return the modules outside the blocks, the output of the last block, [B, T, D], and the cache."""
    outer, context = _open(cfg, params, batch, exe)
    return outer, *_through_blocks(cfg, params, _embed(outer, batch, context), context, cache)


def _open(cfg: DecoderConfig, params: Params, batch: Batch, exe: Execution) -> tuple[Outer, Context]:
    """Return the modules outside the blocks, and the context of one forward pass."""
    length = batch.tokens.shape[1]
    require(length <= cfg.context, "sequence length", length, f"at most {cfg.context}")
    parts = _abstract_outer(cfg)
    outer = Outer(*(nnx.merge(parts[name][0], params.get(name, {})) for name in Outer._fields))
    positions_BT = batch.positions
    if positions_BT is None:
        positions_BT = jnp.broadcast_to(jnp.arange(length), batch.tokens.shape)
    rotations = outer.positions.rotations(positions_BT)
    if isinstance(params.get("blocks"), list):
        # XLA would compute the sines in every layer, and for every head, where they are used. A branch, always taken,
        # stops it; XLA removes an `optimization_barrier` before it fuses.
        zeros = jax.tree.map(jnp.zeros_like, rotations)
        rotations = jax.lax.cond(positions_BT[0, 0] >= 0, lambda: rotations, lambda: zeros)
    return outer, Context(exe, positions_BT, batch.segments, outer.positions, rotations)


def _embed(outer: Outer, batch: Batch, context: Context) -> jax.Array:
    """Return the input of the first block, [B, T, D]."""
    return outer.embed(batch.tokens, outer.positions.vectors(context.positions_BT), context.exe)


def _through_blocks(
    cfg: DecoderConfig, params: Params, x_BTD: jax.Array, context: Context, cache: Cache | None
) -> tuple[jax.Array, Cache | None]:
    """Return the output of the last block and the cache."""
    block_graph = _abstract_block(cfg)[0]

    def layer(
        pattern: str, x_BTD: jax.Array, block_params: Params, block_cache: Params | None
    ) -> tuple[jax.Array, Params | None]:
        return nnx.merge(block_graph, block_params)(x_BTD, context, block_cache, pattern)

    if cfg.remat in KEPT:  # "auto" has been replaced where gradients are to fit in memory
        # The barrier stops XLA from keeping what is computed again. A loop needs none, unless it has one iteration and
        # is dissolved. On a GPU the barrier makes XLA copy weights before they are read; a TPU's schedule gains by it.
        barrier = context.exe.platform != "gpu" or cfg.layers <= context.exe.unroll * len(cfg.attention.pattern)
        layer = jax.checkpoint(layer, prevent_cse=barrier, static_argnums=0, policy=KEPT[cfg.remat])
    over_layers = _loop if isinstance(params["blocks"], list) else partial(_scan, context.exe.unroll)
    return over_layers(layer, cfg.attention.pattern, x_BTD, (params["blocks"], cache))


def _scan(
    unroll: int,
    layer: Callable[..., tuple[jax.Array, Any]],
    patterns: Sequence[str],
    x_BTD: jax.Array,
    stacked: tuple[Any, Any],
) -> tuple[jax.Array, Any]:
    """Scan layer(pattern, x_BTD, *layer of `stacked`) over leaves of [L, ...], with alternating patterns."""
    period = len(patterns)
    if period == 1:
        step = lambda x_BTD, scanned: layer(patterns[0], x_BTD, *scanned)
        return jax.lax.scan(step, x_BTD, stacked, unroll=unroll)

    def group(x_BTD: jax.Array, scanned: tuple[Any, Any]) -> tuple[jax.Array, Any]:
        """One layer of each pattern."""
        outputs = []
        for number, pattern in enumerate(patterns):
            x_BTD, output = layer(pattern, x_BTD, *jax.tree.map(itemgetter(number), scanned))
            outputs.append(output)
        return x_BTD, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)

    groups = jax.tree.map(lambda leaf: leaf.reshape(-1, period, *leaf.shape[1:]), stacked)
    x_BTD, outputs = jax.lax.scan(group, x_BTD, groups, unroll=unroll)
    return x_BTD, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)


def _loop(
    layer: Callable[..., tuple[jax.Array, Any]], patterns: Sequence[str], x_BTD: jax.Array, listed: tuple[list, list]
) -> tuple[jax.Array, list]:
    """Do the same as `_scan` over lists of layers."""
    outputs = []
    for number, (params, cache) in enumerate(zip(*listed)):
        x_BTD, output = layer(patterns[number % len(patterns)], x_BTD, params, cache)
        outputs.append(output)
    return x_BTD, outputs
