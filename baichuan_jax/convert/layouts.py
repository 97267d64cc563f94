"""Mapping of parameters to tensors of a published checkpoint: one table for LLaMA's names, one for Baichuan's.

A published matrix is [output, input]; ours have the input axes first and a separate axis for heads. Both sides use the
rotary halves of `rotate_half`, so rows keep their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import param_shapes

LayoutName = Literal["llama", "baichuan"]
BLOCK_BYTES = 2**25


@dataclass(frozen=True)
class Place:
    """The tensor of a parameter in a published checkpoint.

    tensor: its name, with {layer}. inputs: number of leading input axes of ours; 0 if both arrays are the same. part,
    parts: index and number of equal parts of the tensor, stacked by rows.
    """

    tensor: str
    inputs: int = 1
    part: int = 0
    parts: int = 1


_LAYER = "model.layers.{layer}."
_PACKED = _LAYER + "self_attn.W_pack.weight"
LLAMA = {
    "blocks.attention_norm.scale": Place(_LAYER + "input_layernorm.weight", inputs=0),
    "blocks.attention.query": Place(_LAYER + "self_attn.q_proj.weight"),
    "blocks.attention.key": Place(_LAYER + "self_attn.k_proj.weight"),
    "blocks.attention.value": Place(_LAYER + "self_attn.v_proj.weight"),
    "blocks.attention.output": Place(_LAYER + "self_attn.o_proj.weight", inputs=2),
    "blocks.mlp_norm.scale": Place(_LAYER + "post_attention_layernorm.weight", inputs=0),
    "blocks.mlp.gate": Place(_LAYER + "mlp.gate_proj.weight"),
    "blocks.mlp.up": Place(_LAYER + "mlp.up_proj.weight"),
    "blocks.mlp.down": Place(_LAYER + "mlp.down_proj.weight"),
    "embed.table": Place("model.embed_tokens.weight", inputs=0),
    "head.norm.scale": Place("model.norm.weight", inputs=0),
    "head.kernel": Place("lm_head.weight"),
}
BAICHUAN = LLAMA | {
    "blocks.attention.query": Place(_PACKED, part=0, parts=3),
    "blocks.attention.key": Place(_PACKED, part=1, parts=3),
    "blocks.attention.value": Place(_PACKED, part=2, parts=3),
}
LAYOUTS: dict[LayoutName, dict[str, Place]] = {"llama": LLAMA, "baichuan": BAICHUAN}


@dataclass(frozen=True)
class Matrix:
    """One of our parameters, of one layer if it has layers, as a published tensor or a part of one.

    name: ours, "blocks.mlp.up". shape: ours, without layers. first: the row of the tensor it begins at.
    """

    name: str
    layer: int | None
    shape: tuple[int, ...]
    inputs: int
    tensor: str
    tensor_shape: tuple[int, ...]
    first: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def step(self) -> int:
        """Rows of the tensor per index of axis `inputs` of ours."""
        return math.prod(self.shape[self.inputs + 1 :]) if self.inputs else 1

    def chunk(self, itemsize: int) -> tuple[int, ...]:
        """Return the shape of a block of ours of at most BLOCK_BYTES: one layer, and a part of that axis."""
        size = self.shape[self.inputs]
        blocks = min(size, math.ceil(self.elements * itemsize / BLOCK_BYTES))
        layer = () if self.layer is None else (1,)
        return (*layer, *self.shape[: self.inputs], math.ceil(size / blocks), *self.shape[self.inputs + 1 :])


@dataclass(frozen=True)
class Block:
    """Indices start..end of a matrix along axis `inputs` of ours: the unit of reading, transposing and writing."""

    matrix: Matrix
    start: int
    end: int

    @property
    def rows(self) -> tuple[int, int]:
        """First row of the tensor, and end."""
        return tuple(self.matrix.first + at * self.matrix.step for at in (self.start, self.end))

    @property
    def index(self) -> tuple[int | slice, ...]:
        """Index in our array."""
        layer = () if self.matrix.layer is None else (self.matrix.layer,)
        return (*layer, *(slice(None),) * self.matrix.inputs, slice(self.start, self.end))

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.matrix.elements // self.matrix.shape[self.matrix.inputs] * (self.end - self.start)

    def ours(self, rows: np.ndarray) -> np.ndarray:
        """Return these rows of the tensor as a view in our order of axes."""
        inputs, shape = self.matrix.inputs, self.matrix.shape
        if not inputs:
            return rows
        array = rows.reshape(-1, *shape[inputs + 1 :], *shape[:inputs])
        return np.moveaxis(array, range(-inputs, 0), range(inputs))

    def theirs(self, block: np.ndarray) -> np.ndarray:
        """Return this part of our parameter as rows of the tensor."""
        inputs = self.matrix.inputs
        if not inputs:
            return block
        rows = np.moveaxis(block, range(inputs), range(-inputs, 0))
        return rows.reshape(-1, math.prod(self.matrix.shape[:inputs]))


def matrices(cfg: DecoderConfig, layout: LayoutName) -> Iterator[Matrix]:
    """Yield every parameter of a decoder in the layout, layer by layer."""
    for name, shape in parameter_shapes(cfg).items():
        place, layered = LAYOUTS[layout][name], name.startswith("blocks.")
        own = shape[1:] if layered else shape
        rows, columns = math.prod(own[place.inputs :]), math.prod(own[: place.inputs])
        tensor_shape = (place.parts * rows, columns) if place.inputs else own
        for layer in range(cfg.layers) if layered else (None,):
            tensor = place.tensor.format(layer=layer)
            yield Matrix(name, layer, own, place.inputs, tensor, tensor_shape, place.part * rows)


def tensor_shapes(cfg: DecoderConfig, layout: LayoutName) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the published tensors: token table, layers, head."""
    first, last = "embed.table", cfg.layers
    place = lambda matrix: -1 if matrix.name == first else last if matrix.layer is None else matrix.layer
    return {matrix.tensor: matrix.tensor_shape for matrix in sorted(matrices(cfg, layout), key=place)}


def parameter_shapes(cfg: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Return {"blocks.mlp.up": [layers, ...]} of all parameters."""
    return {name: leaf.shape for name, leaf in flat(param_shapes(cfg)).items()}


def flat(params: Any) -> dict[str, Any]:
    """Return a nested dict as {"blocks.mlp.up": leaf}."""
    leaves = tree_flatten_with_path(params)[0]
    return {keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
