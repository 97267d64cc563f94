"""The safetensors format (github.com/huggingface/safetensors): the place of each tensor in a file.

A file holds the length of its header (uint64), the header (JSON: {name: {dtype, shape, data_offsets}}), then the
tensors without gaps. Tensors are read by offset. The safetensors library maps the file instead, and pages read from a
mapped file count as memory of the process.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jax.numpy import bfloat16

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import decode_json
from baichuan_jax.core.json_object import shown

BFLOAT16 = np.dtype(bfloat16)
DTYPES = {"BF16": BFLOAT16, "F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
Spec = tuple[np.dtype, tuple[int, ...]]
LENGTH = struct.Struct("<Q")
METADATA = "__metadata__"  # the name that no tensor has
LONGEST_HEADER = 100_000_000  # bytes, the format's own limit
MOST_AXES = 32  # that numpy has always had


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file. start: byte of the file where it begins."""

    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name. Raise UserError if the file is truncated or its header is inconsistent."""
    header, data_start = _header(path)
    data_size = path.stat().st_size - data_start
    found, extents = {}, []
    for name, entry in header.items():
        if name != METADATA:
            tensor, begin, end = _entry(path, name, entry, data_start)
            if end > data_size:
                raise UserError(
                    f"{path}: tensor {name!r} ends at byte {data_start + end}, the file at {data_start + data_size}; "
                    "the file is truncated, download it again"
                )
            found[name] = tensor
            extents.append((begin, end, name))
    at = 0
    for begin, end, name in sorted(extents):
        if begin != at:
            raise UserError(
                f"{path}: tensor {name!r} starts at byte {begin} of the data, the previous one ends at {at}"
            )
        at = end
    if at != data_size:
        raise UserError(f"{path}: the header describes {at} bytes of tensors, the file holds {data_size}")
    return found


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a file says beside its tensors."""
    return _header(path)[0].get(METADATA) or {}


def _header(path: Path) -> tuple[dict, int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH.size)
        length = LENGTH.unpack(start)[0] if len(start) == LENGTH.size else size
        if length > min(size - LENGTH.size, LONGEST_HEADER):
            raise UserError(f"{path} ({size} bytes) is not a safetensors file, or its header is truncated")
        text = file.read(length)
    try:
        header = decode_json(text)
    except ValueError as error:
        raise UserError(f"{path} is not a safetensors file: its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise UserError(f"{path} is not a safetensors file: its header is not a JSON object")
    metadata = header.get(METADATA) or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise UserError(f"{path}: {METADATA} = {shown(metadata)}: expected an object of texts")
    return header, LENGTH.size + length


def _entry(path: Path, name: str, entry: object, data_start: int) -> tuple[Tensor, int, int]:
    """Return (tensor, first byte, end of its data). Raise UserError unless its dtype and shape fill these bytes."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = isinstance(dtype, str) and len(shape) <= MOST_AXES
        whole = whole and all(type(size) is int and 0 <= size < 2**63 for size in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole:
        raise UserError(
            f"{path}: tensor {name!r}: expected dtype, shape and data_offsets in the header, found {shown(entry)}"
        )
    if dtype not in DTYPES:
        raise UserError(f"{path}: tensor {name!r} has dtype {dtype}; supported: {', '.join(DTYPES)}")
    tensor = Tensor(path, DTYPES[dtype], shape, data_start + begin)
    if end - begin != tensor.size:
        raise UserError(f"{path}: tensor {name!r}, {dtype} {list(shape)}, needs {tensor.size} bytes, not {end - begin}")
    return tensor, begin, end


def place(
    path: Path, tensors: Mapping[str, Spec], metadata: Mapping[str, str] = MappingProxyType({})
) -> tuple[bytes, dict[str, Tensor]]:
    """Return (header of a file with these tensors, the place of each), in the order of the safetensors library.

    metadata: what the file is to say beside its tensors.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, dict] = {METADATA: {"format": "pt", **metadata}}
    at = 0
    for name, (dtype, shape) in sorted(tensors.items(), key=lambda item: (-item[1][0].itemsize, item[0])):
        end = at + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    data = LENGTH.size + len(text)
    placed = {
        name: Tensor(path, *tensors[name], data + entry["data_offsets"][0])
        for name, entry in header.items()
        if name in tensors
    }
    return LENGTH.pack(len(text)) + text, placed


def read_rows(tensor: Tensor, first: int, last: int) -> np.ndarray:
    """Return a copy of rows first..last of a tensor, [last - first, ...]."""
    row = tensor.size // tensor.shape[0]
    words = np.fromfile(tensor.file, np.uint8, count=(last - first) * row, offset=tensor.start + first * row)
    if words.size != (last - first) * row:
        raise UserError(f"{tensor.file} was truncated while it was being read")
    return words.view(tensor.dtype).reshape(last - first, *tensor.shape[1:])
