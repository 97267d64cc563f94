"""The seam: the decoder as pure functions over plain nested dicts of arrays.

Parameters are `{"blocks": {...}, "ends": {...}}`; every leaf under "blocks" has a leading axis "layers", over which
`lax.scan` runs; `for_decoding` makes a list of layers of them, for programs that repeat few tokens many times.

B batch, T positions, V vocabulary, L layers, S cache positions, K key/value heads, H head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from baichuan_jax.core.errors import require
from baichuan_jax.model import ahead
from baichuan_jax.model.block import Block
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.ends import Ends
from baichuan_jax.model.layers import Context
from baichuan_jax.model.loss import Objective, cross_entropy
from baichuan_jax.model.spread import Sending
from baichuan_jax.model.storage import Storage, store_block, store_ends
from baichuan_jax.parallel.layout import Layout

Params = dict[str, Any]
Cache = dict[str, jax.Array] | list[dict[str, jax.Array]]
PARTS = {"blocks": Block, "ends": Ends}


def _keeps_products(primitive: Any, *_: Any, **params: Any) -> bool:
    """Whether the backward pass is to find what this returned: products with weights, and cuDNN's attention."""
    is_product = jax.checkpoint_policies.dots_with_no_batch_dims_saveable(primitive, **params)
    return is_product or primitive.name == "dot_product_attention_fwd_wrapper"


KEPT = {"products": _keeps_products, "block": None}  # by DecoderConfig.remat


@lru_cache
def _abstract(part: str, cfg: DecoderConfig) -> tuple[nnx.GraphDef, nnx.State]:
    """Return the structure of one part and its parameters as shapes; allocates nothing."""
    return nnx.split(nnx.eval_shape(lambda: PARTS[part](cfg, nnx.Rngs(0))))


def init_params(cfg: DecoderConfig, key: jax.Array) -> Params:
    """Return fresh float32 parameters: normal(0, init_std) weights, norms of one."""

    def make(part: str, key: jax.Array) -> Params:
        return nnx.to_pure_dict(nnx.state(PARTS[part](cfg, nnx.Rngs(key))))

    ends_key, blocks_key = jax.random.split(key)
    layer_keys = jax.random.split(blocks_key, cfg.layers)
    return {"blocks": jax.vmap(lambda key: make("blocks", key))(layer_keys), "ends": make("ends", ends_key)}


def param_axes(cfg: DecoderConfig) -> Params:
    """Return the logical axis names of every parameter, in the tree of `init_params`."""

    def axes(part: str, *leading: str) -> Params:
        is_param = lambda node: isinstance(node, nnx.Variable)
        state = _abstract(part, cfg)[1]
        return nnx.to_pure_dict(jax.tree.map(lambda p: leading + p.get_metadata("axes"), state, is_leaf=is_param))

    return {"blocks": axes("blocks", "layers"), "ends": axes("ends")}


def param_shapes(cfg: DecoderConfig) -> Params:
    """Return the parameters as `jax.ShapeDtypeStruct`; allocates nothing."""
    return jax.eval_shape(lambda: init_params(cfg, jax.random.key(0)))


def parameter_count(cfg: DecoderConfig) -> int:
    """Return the number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(param_shapes(cfg)))


def for_decoding(cfg: DecoderConfig, params: Params, storage: Storage, dtype: jnp.dtype) -> Params:
    """Return the parameters as `apply_cached` reads them fastest: "blocks" a list of layers, kernels in `storage`.

    A scan copies the weights and the cache of a layer before it works on them; at a token a row that is most of the
    time of a step. A list is read where it lies, and takes longer to compile. dtype: of the computation.
    """

    @jax.jit
    def layers(blocks: Params) -> list[Params]:
        each = [jax.tree.map(itemgetter(number), blocks) for number in range(cfg.layers)]
        return [store_block(layer, storage, dtype) for layer in each]

    return {"blocks": layers(params["blocks"]), "ends": store_ends(params["ends"], cfg, storage, dtype)}


def init_cache(cfg: DecoderConfig, batch: int, length: int, dtype: jnp.dtype = jnp.float32) -> Params:
    """Return an empty key/value cache of [L, B, K, S, H]; slot s holds position s."""
    shape = (cfg.layers, batch, cfg.kv_heads, length, cfg.head_dim)
    return {"key": jnp.zeros(shape, dtype), "value": jnp.zeros(shape, dtype)}


def apply(
    cfg: DecoderConfig,
    params: Params,
    tokens_BT: jax.Array,
    *,
    dtype: jnp.dtype = jnp.float32,
    layout: Layout | None = None,
    places_BW: jax.Array | None = None,
) -> jax.Array:
    """Return next-token logits_BTV in float32 for whole sequences; `dtype` is that of the computation.

    places_BW: the places in a row whose logits are wanted, [B, W, V]; without, those of all.
    """
    ends, context, x_BTD, _ = _through_blocks(cfg, params, tokens_BT, _positions(tokens_BT), None, dtype, layout)
    return ends.logits(_at(x_BTD, places_BW), context)


def loss(
    cfg: DecoderConfig,
    params: Params,
    tokens_BT: jax.Array,
    targets_BT: jax.Array,
    *,
    dtype: jnp.dtype = jnp.float32,
    layout: Layout | None = None,
    max_z: float = 0.0,
    chunk_bytes: int = 2**28,
    inner_bytes: int = 0,
    sending: Sending = "compiler",
) -> tuple[jax.Array, jax.Array]:
    """Return (what is minimised, the negative log-likelihood in nats), both summed over whole sequences.

    max_z: weight of the max-z loss in the first. chunk_bytes: most that logits take in memory at once on a device;
    inner_bytes: that an array of the inner width of a feed-forward layer takes; 0: as much as there is. sending:
    who sends kernels and their gradients.
    """
    ends, context, x_BTD, head = _through_blocks(
        cfg, params, tokens_BT, _positions(tokens_BT), None, dtype, layout, inner_bytes, sending
    )
    objective = Objective(max_z, cfg.head.soft_cap, chunk_bytes, layout)
    return cross_entropy(ends.norm(x_BTD), ends.kernel(context) if head is None else head, targets_BT, objective)


def apply_cached(
    cfg: DecoderConfig,
    params: Params,
    tokens_BT: jax.Array,
    positions_BT: jax.Array,
    cache: Cache,
    *,
    dtype: jnp.dtype = jnp.float32,
    layout: Layout | None = None,
    places_BW: jax.Array | None = None,
) -> tuple[jax.Array, Cache]:
    """Return (logits_BTV, cache) for tokens that continue what the cache holds.

    positions_BT are absolute; a position >= the cache length marks padding: it is not stored and its logits mean
    nothing. So the rows of a batch may have different lengths. cache: of `init_cache`; with parameters of
    `for_decoding` a list of {"key", "value"} of [B, K, S, H], as `storage.empty` makes them. places_BW: as in `apply`.
    """
    ends, context, x_BTD, cache = _through_blocks(cfg, params, tokens_BT, positions_BT, cache, dtype, layout)
    return ends.logits(_at(x_BTD, places_BW), context), cache


def probe(
    cfg: DecoderConfig, ends: Params, layer: Callable[[int], Params], tokens_BT: jax.Array
) -> tuple[jax.Array, list[jax.Array]]:
    """Compute in float32 what `apply` does, one layer at a time; for models that do not fit in memory.

    ends: parameters["ends"]. layer: returns the block parameters of the layer of a number. Return logits_BTV and the
    hidden states, each [B, T, D]: the input of every layer, and the normalised output of the last.
    """
    head = nnx.merge(_abstract("ends", cfg)[0], ends)
    positions_BT = _positions(tokens_BT)
    context = Context(positions_BT, head.positions, head.positions.rotations(positions_BT), None)
    hidden = [head.embed(tokens_BT, context, jnp.float32)]
    for number in range(cfg.layers):
        block = nnx.merge(_abstract("blocks", cfg)[0], layer(number))
        pattern = cfg.attention.pattern[number % len(cfg.attention.pattern)]
        hidden.append(jax.block_until_ready(block(hidden[-1], context, None, pattern)[0]))  # or layers pile up, waiting
    return head.logits(hidden[-1], context), [*hidden[:-1], head.norm(hidden[-1])]


def _at(x_BTD: jax.Array, places_BW: jax.Array | None) -> jax.Array:
    """Return the vectors of some places in a row, or all."""
    return x_BTD if places_BW is None else jnp.take_along_axis(x_BTD, places_BW[:, :, None], axis=1)


def _positions(tokens_BT: jax.Array) -> jax.Array:
    """Return those of whole sequences."""
    return jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)


def _through_blocks(
    cfg: DecoderConfig,
    params: Params,
    tokens_BT: jax.Array,
    positions_BT: jax.Array,
    cache: Cache | None,
    dtype: jnp.dtype,
    layout: Layout | None,
    inner_bytes: int = 0,
    sending: Sending = "compiler",
) -> tuple[Ends, Context, jax.Array, Any]:
    """Return the ends, the context, the output of the last block before the last norm, and the cache.

    If kernels are sent ahead, instead of a cache the head as `ahead.through` returns it.
    """
    require(tokens_BT.shape[1] <= cfg.context, "sequence length", tokens_BT.shape[1], f"at most {cfg.context}")
    ends = nnx.merge(_abstract("ends", cfg)[0], params["ends"])
    block_graph = _abstract("blocks", cfg)[0]
    listed = isinstance(params["blocks"], list)
    rotations = ends.positions.rotations(positions_BT)
    if listed:
        # XLA would compute the sines in every layer, and for every head, where they are used. A branch, always taken,
        # stops it; it takes `optimization_barrier` out before it fuses.
        none = jax.tree.map(jnp.zeros_like, rotations)
        rotations = jax.lax.cond(positions_BT[0, 0] >= 0, lambda: rotations, lambda: none)
    context = Context(positions_BT, ends.positions, rotations, layout, inner_bytes, sending)

    def layer(
        pattern: str, x_BTD: jax.Array, block_params: Params, block_cache: Params | None
    ) -> tuple[jax.Array, Params | None]:
        return nnx.merge(block_graph, block_params)(x_BTD, context, block_cache, pattern)

    if cfg.remat != "none":
        # What is computed again stands behind a barrier, so that XLA does not keep it instead. In a loop it could not,
        # unless the loop is of one and dissolved; and on a GPU the barrier has weights copied before they are read. On
        # a TPU the schedule is better with it.
        platform = jax.default_backend() if layout is None else layout.platform
        barrier = platform != "gpu" or cfg.layers == len(cfg.attention.pattern)
        layer = jax.checkpoint(layer, prevent_cse=barrier, static_argnums=0, policy=KEPT[cfg.remat])

    x_BTD = ends.embed(tokens_BT, context, dtype)
    if sending == "ahead":
        head_DV = ends.head[...] if ahead.comes_in_parts(cfg, layout) else None
        scan = lambda step, carry, stacked: _scan(step, cfg.attention.pattern, carry, stacked)
        x_BTD, head_nDV = ahead.through(scan, layer, x_BTD, params["blocks"], head_DV, layout)
        return ends, context, x_BTD, head_nDV
    over_layers = _loop if listed else _scan
    x_BTD, cache = over_layers(layer, cfg.attention.pattern, x_BTD, (params["blocks"], cache))
    return ends, context, x_BTD, cache


def _scan(
    layer: Callable[..., tuple[jax.Array, Any]], patterns: Sequence[str], x_BTD: jax.Array, stacked: tuple[Any, Any]
) -> tuple[jax.Array, Any]:
    """Run layer(pattern, x_BTD, *layer of `stacked`) over leaves of [L, ...], with the patterns in turn."""
    period = len(patterns)
    if period == 1:
        return jax.lax.scan(lambda x_BTD, scanned: layer(patterns[0], x_BTD, *scanned), x_BTD, stacked)

    def group(x_BTD: jax.Array, scanned: tuple[Any, Any]) -> tuple[jax.Array, Any]:
        """One layer of each pattern."""
        outputs = []
        for number, pattern in enumerate(patterns):
            x_BTD, output = layer(pattern, x_BTD, *jax.tree.map(itemgetter(number), scanned))
            outputs.append(output)
        return x_BTD, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)

    groups = jax.tree.map(lambda leaf: leaf.reshape(-1, period, *leaf.shape[1:]), stacked)
    x_BTD, outputs = jax.lax.scan(group, x_BTD, groups)
    return x_BTD, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)


def _loop(
    layer: Callable[..., tuple[jax.Array, Any]], patterns: Sequence[str], x_BTD: jax.Array, listed: tuple[list, list]
) -> tuple[jax.Array, list]:
    """Do what `_scan` does over lists of layers."""
    outputs = []
    for number, (params, cache) in enumerate(zip(*listed)):
        x_BTD, output = layer(patterns[number % len(patterns)], x_BTD, params, cache)
        outputs.append(output)
    return x_BTD, outputs
