"""Parameters on disk in orbax's format, opened array by array, so that parts can be read and written separately.

An array is a zarr directory of its own ("blocks.mlp.up"), or part of the OCDBT database that training writes.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_json
from baichuan_jax.model.old_params import OLD_KEY, old_name

METADATA, DATABASE = "_METADATA", "manifest.ocdbt"


def create(directory: Path, name: str, dtype: np.dtype, shape: tuple[int, ...], chunk: tuple[int, ...]) -> Any:
    """Open an array for writing; create it if it does not exist."""
    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": f"{(directory / name).absolute()}/"},
        "metadata": {"compressor": None, "chunks": list(chunk)},
    }
    return ts.open(spec, dtype=ts.dtype(dtype), shape=shape, create=True, open=True).result()


def wait(written: Any) -> None:
    """Wait until a write, returned by `array[...].write`, is on disk. Raise OSError if the disk is full."""
    try:
        written.result()
    except ValueError as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, str(error)) from None
        raise


def finish(directory: Path, chunks: Mapping[str, tuple[int, ...]]) -> None:
    """Write orbax's metadata of the arrays: their names, and the chunk shapes they were written in."""
    tree = {}
    for name, chunk in chunks.items():
        keys = tuple(name.split("."))
        value = {"value_type": "jax.Array", "skip_deserialize": False, "write_shape": list(chunk)}
        tree[str(keys)] = {"key_metadata": [{"key": key, "key_type": 2} for key in keys], "value_metadata": value}
    write_json(directory / METADATA, {"tree_metadata": tree, "use_ocdbt": False, "use_zarr3": False})


def open_array(directory: Path, name: str, shape: tuple[int, ...]) -> Any:
    """Open an array of a finished checkpoint for reading. Raise UserError if it is missing or has another shape."""
    base = directory.absolute()
    metadata = json.loads((directory / METADATA).read_text())
    if any(f"'{OLD_KEY}'" in key for key in metadata["tree_metadata"]):
        name = old_name(name)
    stored = {"driver": "file", "path": f"{base / name}/"}
    if (directory / DATABASE).exists():
        stored = {"driver": "ocdbt", "base": f"file://{base}/", "path": f"{name}/"}
    driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
    try:
        array = ts.open({"driver": driver, "kvstore": stored}, open=True, read=True).result()
    except ValueError as error:
        raise UserError(f"{directory}: parameter {name!r} cannot be read ({str(error).splitlines()[0]})") from None
    if array.shape != shape:
        raise UserError(
            f"{directory}: parameter {name!r} has shape {list(array.shape)}, the config requires {list(shape)}; the "
            "checkpoint belongs to another config"
        )
    return array
