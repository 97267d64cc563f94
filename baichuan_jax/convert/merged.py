"""Weights with their adapters merged, read from the disk in parts as stored weights are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tensorstore as ts
from jax.tree_util import keystr, tree_flatten_with_path

from baichuan_jax.convert import arrays
from baichuan_jax.model.config import DecoderConfig, LoraConfig
from baichuan_jax.model.decoder import param_shapes
from baichuan_jax.model.fingerprint import fingerprint_of
from baichuan_jax.model.lora import Adapters


class Addition(NamedTuple):
    """Adapters in memory, which are to be merged into weights on the disk."""

    cfg: LoraConfig
    adapters: Adapters

    def merged(self, name: str, stored: Any) -> Any:
        """Return a stored parameter, such as "blocks.mlp.up", with its adapter merged; as it is, if it has none."""
        adapter = self.adapters.get(name.removeprefix("blocks."))
        return MergedArray(stored, adapter, self.cfg.scale) if adapter else stored


class MergedArray:
    """A stored weight [L, *in, *out] plus scale * down @ up, in float32. It is read as a tensorstore array is."""

    dtype = ts.float32

    def __init__(self, stored: Any, adapter: dict[str, Any], scale: float):
        self._stored, self._scale = stored, scale
        self._down, self._up = adapter["down"], adapter["up"]
        self.chunk_layout = stored.chunk_layout

    def __getitem__(self, index: Any) -> _Part:
        """Return a part to read. index: of layers, or (of layers, slice(None) for each input, of the first output)."""
        return _Part(self._stored[index].read(), lambda: self._added(index if isinstance(index, tuple) else (index,)))

    def _added(self, index: tuple) -> np.ndarray:
        """Return what is added to a part, [..., inputs, outputs] with the axes of each as one."""
        layers, *others = index
        inputs, rank = self._down.ndim - 2, self._down.shape[-1]
        down, up = self._down[layers], self._up[layers]
        outer = down.shape[: down.ndim - inputs - 1]
        up = up[(slice(None),) * (len(outer) + 1) + tuple(others[inputs:])]
        product = np.matmul(down.reshape(*outer, -1, rank), up.reshape(*outer, rank, -1))
        return np.float32(self._scale) * product


class _Part(NamedTuple):
    """A part of a merged weight that is being read."""

    stored: Any
    added: Callable[[], np.ndarray]

    def read(self) -> _Part:
        return self

    def result(self) -> np.ndarray:
        values = self.stored.result().astype(np.float32)
        return values + self.added().reshape(values.shape)


def stored_fingerprint(params: Path, cfg: DecoderConfig) -> str:
    """Return the fingerprint of stored parameters, of which one is in memory at a time."""
    leaves, _ = tree_flatten_with_path(param_shapes(cfg))

    def read(name: str, shape: tuple[int, ...]) -> jax.Array:
        return jnp.asarray(arrays.open_array(params, name, shape).read().result(), jnp.float32)

    return fingerprint_of(
        (keystr(path), read(keystr(path, simple=True, separator="."), leaf.shape)) for path, leaf in leaves
    )
