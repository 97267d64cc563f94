"""Import: a published checkpoint into an orbax checkpoint of ours, block by block, in bounded memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.convert import arrays
from baichuan_jax.convert.journal import Journal
from baichuan_jax.convert.layouts import Block, LayoutName, Matrix, matrices, parameter_shapes
from baichuan_jax.convert.source import Source
from baichuan_jax.core.checksums import write_manifest
from baichuan_jax.core.files import write_json
from baichuan_jax.model.config import DecoderConfig

FINAL, PARTIAL, PARAMS, JOURNAL = "0", "partial", "params", "journal.txt"  # 0: the step of the checkpoint
PENDING = 2  # blocks being written while the next one is read
Progress = Callable[[int, int], None]


def load(source: Source, cfg: DecoderConfig, layout: LayoutName, directory: Path, progress: Progress) -> dict[str, Any]:
    """Write the checkpoint `directory`/0 from a source that has passed `check`; return what is in it.

    A killed call is continued. Every parameter keeps the dtype of its tensors. Only a few blocks are in memory.
    progress: called with (bytes done, bytes in all).
    """
    place = {name: number for number, name in enumerate(source.tensors)}
    todo = sorted(matrices(cfg, layout), key=lambda matrix: place[matrix.tensor])  # as they lie in the files
    dtypes, shapes = _dtypes(source, todo), parameter_shapes(cfg)
    if not (directory / FINAL).exists():
        _write(source, todo, dtypes, shapes, directory, progress)
    size = {name: math.prod(shape) for name, shape in shapes.items()}
    return {
        "parameters": sum(size.values()),
        "bytes": sum(size[name] * dtypes[name].itemsize for name in size),
        "dtypes": sorted({dtype.name for dtype in dtypes.values()}),
    }


def _dtypes(source: Source, todo: list[Matrix]) -> dict[str, np.dtype]:
    """Return the dtype of every parameter: that of its tensors, or float32 if layers differ."""
    found: dict[str, set[np.dtype]] = {}
    for matrix in todo:
        found.setdefault(matrix.name, set()).add(source.tensors[matrix.tensor].dtype)
    return {name: dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32) for name, dtypes in found.items()}


def _write(
    source: Source,
    todo: list[Matrix],
    dtypes: dict[str, np.dtype],
    shapes: dict[str, tuple[int, ...]],
    directory: Path,
    progress: Progress,
) -> None:
    params = directory / PARTIAL / PARAMS
    params.mkdir(parents=True, exist_ok=True)
    chunks = {matrix.name: matrix.chunk(dtypes[matrix.name].itemsize) for matrix in todo}
    opened = {name: arrays.create(params, name, dtypes[name], shapes[name], chunk) for name, chunk in chunks.items()}
    total = sum(matrix.elements * dtypes[matrix.name].itemsize for matrix in todo)
    done, pending = 0, deque()

    def settle(most: int) -> None:
        """Wait until at most this many writes are pending, and record the finished ones."""
        nonlocal done
        while len(pending) > most:
            name, size, written = pending.popleft()
            if written is not None:
                arrays.wait(written)
                journal.add(name)
            done += size
            progress(done, total)

    with Journal(directory / JOURNAL) as journal:
        for block in _blocks(todo, chunks):
            array, written = opened[block.matrix.name], None
            name = f"{block.matrix.name} {block.matrix.layer} {block.start}"
            if name not in journal:
                rows = source.rows(block.matrix.tensor, *block.rows)
                written = array[block.index].write(block.ours(rows.astype(array.dtype.numpy_dtype, copy=False)))
            pending.append((name, block.size * array.dtype.numpy_dtype.itemsize, written))
            settle(PENDING)
        settle(0)
    arrays.finish(params, chunks)
    write_json(directory / PARTIAL / "_CHECKPOINT_METADATA", {})
    write_manifest(directory / PARTIAL, "imported weights")
    (directory / PARTIAL).rename(directory / FINAL)
    (directory / JOURNAL).unlink()


def _blocks(todo: list[Matrix], chunks: dict[str, tuple[int, ...]]) -> Iterator[Block]:
    """Yield blocks that are the chunks of the arrays, so that no chunk is written twice."""
    for matrix in todo:
        size = matrix.shape[matrix.inputs]
        step = chunks[matrix.name][matrix.inputs + (matrix.layer is not None)]
        for start in range(0, size, step):
            yield Block(matrix, start, min(start + step, size))
