"""Export: a checkpoint of ours as safetensors in a published layout, block by block, in bounded memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.convert import arrays
from baichuan_jax.convert.journal import Journal
from baichuan_jax.convert.layouts import Block, LayoutName, Matrix, matrices, parameter_shapes, tensor_shapes
from baichuan_jax.convert.merged import Addition
from baichuan_jax.convert.publish import publish
from baichuan_jax.convert.safetensors import Spec, Tensor, place
from baichuan_jax.convert.source import INDEX, SINGLE
from baichuan_jax.core.files import write_json
from baichuan_jax.model.config import DecoderConfig

JOURNAL, PARTIAL = "journal.txt", "partial"
Placed = dict[str, Tensor]
Progress = Callable[[int, int], None]


def save(
    params: Path,
    cfg: DecoderConfig,
    layout: LayoutName,
    dtype: np.dtype | None,
    file_bytes: int,
    directory: Path,
    progress: Progress,
    addition: Addition | None = None,
) -> dict[str, Any]:
    """Write the parameters in the directory `params` as safetensors into `directory`; return what is in them.

    dtype: of the tensors; None keeps what is stored. file_bytes: of tensors in one file, unless one alone is larger.
    addition: adapters to merge, in float32. A killed call is continued; files get their names when all are complete.
    Only one chunk of the checkpoint is in memory. progress: called with (bytes done, bytes in all).
    """
    todo = list(matrices(publish(cfg, layout), layout))
    stored = open_parameters(params, cfg, todo, addition)
    partial = directory / PARTIAL
    partial.mkdir(exist_ok=True)
    dtypes = _dtypes(todo, stored, dtype)
    tensors = {name: (dtypes[name], shape) for name, shape in tensor_shapes(publish(cfg, layout), layout).items()}
    placed = _allocate(partial, directory, distribute(tensors, file_bytes))
    total, done = sum(tensor.size for tensor in placed.values()), 0
    with Journal(directory / JOURNAL) as journal:
        for name, group in groupby(todo, key=lambda matrix: matrix.name):
            for piece, blocks in _pieces(name, stored[name], list(group)):
                if piece not in journal:
                    _copy(stored[name], blocks, placed, normalise=name == "head.kernel" and bakes(cfg, layout))
                    journal.add(piece)
                done += sum(block.size * placed[block.matrix.tensor].dtype.itemsize for block in blocks)
                progress(done, total)
    _publish(partial, directory, placed, total)
    return {
        "parameters": sum(matrix.elements for matrix in todo),
        "bytes": total,
        "dtypes": sorted({tensor.dtype.name for tensor in placed.values()}),
        "files": sorted({tensor.file.name for tensor in placed.values()}),
    }


def bakes(cfg: DecoderConfig, layout: LayoutName) -> bool:
    """Whether the head is stored normalised, since the layout does not support NormHead."""
    return cfg.head.normalised and not publish(cfg, layout).head.normalised


def open_parameters(
    params: Path, cfg: DecoderConfig, todo: list[Matrix], addition: Addition | None = None
) -> dict[str, Any]:
    """Open every parameter, with its adapter merged if it is to have one.

    If the layout has a head and the decoder ties it, it is the transposed token table.
    """
    shapes = parameter_shapes(cfg)
    found = {name: arrays.open_array(params, name, shape) for name, shape in shapes.items()}
    if addition:
        found = {name: addition.merged(name, array) for name, array in found.items()}
    if any(matrix.name == "head.kernel" for matrix in todo) and cfg.head.tied:
        found["head.kernel"] = found["embed.table"].T
    return found


def _dtypes(todo: list[Matrix], stored: dict[str, Any], dtype: np.dtype | None) -> dict[str, np.dtype]:
    """Return the dtype of every tensor: the requested one, or that of its parameters, or float32 if they differ."""
    found: dict[str, np.dtype] = {}
    for matrix in todo:
        own = dtype or stored[matrix.name].dtype.numpy_dtype
        found[matrix.tensor] = own if found.get(matrix.tensor, own) == own else np.dtype(np.float32)
    return found


def distribute(tensors: dict[str, Spec], file_bytes: int) -> dict[str, dict[str, Spec]]:
    """Distribute tensors (dtype, shape), in order, over files of this many bytes; return {file name: its tensors}."""
    parts: list[dict[str, Spec]] = [{}]
    room = file_bytes
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * dtype.itemsize
        if size > room and parts[-1]:
            parts.append({})
            room = file_bytes
        parts[-1][name] = (dtype, shape)
        room -= size
    if len(parts) == 1:
        return {SINGLE[0]: parts[0]}
    stem, suffix = SINGLE[0].split(".")
    return {f"{stem}-{n:05}-of-{len(parts):05}.{suffix}": part for n, part in enumerate(parts, 1)}


def _allocate(partial: Path, directory: Path, files: dict[str, dict[str, Spec]]) -> Placed:
    """Create missing files at full size with their headers; return the place of each tensor."""
    found: Placed = {}
    for name, tensors in files.items():
        head, placed = place(partial / name, tensors)
        found |= placed
        if not ((partial / name).exists() or (directory / name).exists()):
            with (partial / f".{name}").open("wb") as file:
                file.write(head)
                file.truncate(len(head) + sum(tensor.size for tensor in placed.values()))
            (partial / f".{name}").rename(partial / name)
    return found


def _pieces(name: str, array: Any, layers: list[Matrix]) -> Iterator[tuple[str, list[Block]]]:
    """Yield (name, blocks) of the parts of a parameter that are read at once: whole chunks along the split axes."""
    chunk, matrix = array.chunk_layout.read_chunk.shape, layers[0]
    layered = matrix.layer is not None
    deep, step, size = chunk[0] if layered else 1, chunk[matrix.inputs + layered], matrix.shape[matrix.inputs]
    for top in range(0, len(layers), deep):
        for start in range(0, size, step):
            blocks = [Block(layer, start, min(start + step, size)) for layer in layers[top : top + deep]]
            yield f"{name} {top} {start}", blocks


def _copy(array: Any, blocks: list[Block], placed: Placed, normalise: bool) -> None:
    """Read blocks that differ only in their layer at once, and write each to its rows."""
    first, last = blocks[0], blocks[-1]
    index = first.index
    if first.matrix.layer is not None:
        index = (slice(first.matrix.layer, last.matrix.layer + 1), *index[1:])
    values = array[index].read().result()
    for block, value in zip(blocks, values if first.matrix.layer is not None else [values]):
        if normalise:
            value = normalised(value)
        tensor = placed[block.matrix.tensor]
        row = tensor.size // tensor.shape[0]
        data = np.ascontiguousarray(block.theirs(value), tensor.dtype).view(np.uint8).data
        with tensor.file.open("r+b") as file:
            file.seek(tensor.start + block.rows[0] * row)
            file.write(data)


def normalised(kernel_DV: np.ndarray) -> np.ndarray:
    """Return a head with the vector of every token scaled to length 1, in float32, as NormHead does."""
    kernel_DV = kernel_DV.astype(np.float32)
    return kernel_DV / np.maximum(np.linalg.norm(kernel_DV, axis=0), 1e-12)


def _publish(partial: Path, directory: Path, placed: Placed, total: int) -> None:
    """Sync and rename the files, and write the index if there are several."""
    names = {tensor: where.file.name for tensor, where in placed.items()}
    for name in sorted(set(names.values())):
        if (partial / name).exists():
            with (partial / name).open("rb") as file:
                os.fsync(file.fileno())
            (partial / name).rename(directory / name)
    if len(set(names.values())) > 1:
        write_json(directory / INDEX[0], {"metadata": {"total_size": total}, "weight_map": names})
    partial.rmdir()
    (directory / JOURNAL).unlink()
