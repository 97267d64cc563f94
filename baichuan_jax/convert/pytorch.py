"""Read `pytorch_model.bin`, tensors pickled by PyTorch, without executing code from the pickle. Needs torch."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.convert.safetensors import BFLOAT16
from baichuan_jax.core.errors import UserError


@dataclass(frozen=True)
class PickledTensor:
    """A tensor in a file."""

    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    name: str


def read_names(path: Path) -> dict[str, PickledTensor]:
    """Return the tensors of a file by name. Raise UserError without torch, or if the file holds other objects."""
    torch = _torch(path)
    dtypes = {torch.bfloat16: BFLOAT16, torch.float16: np.dtype("<f2"), torch.float32: np.dtype("<f4")}
    found = {}
    for name, tensor in _load(torch, path).items():
        if not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.dtype not in dtypes:
            raise UserError(
                f"{path}: tensor {name!r} has dtype {tensor.dtype}; supported: {', '.join(map(str, dtypes))}"
            )
        found[name] = PickledTensor(path, dtypes[tensor.dtype], tuple(tensor.shape), name)
    return found


def read_rows(tensor: PickledTensor, first: int, last: int) -> np.ndarray:
    """Return a copy of rows first..last of a tensor.

    The file is mapped anew for each call: pages read from a mapped file count as memory until it is unmapped.
    """
    torch = _torch(tensor.file)
    rows = _load(torch, tensor.file)[tensor.name][first:last].contiguous()
    words = rows.view(torch.int16 if tensor.dtype.itemsize == 2 else torch.int32).numpy()
    return words.copy().view(tensor.dtype)


def _load(torch: Any, path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} cannot be loaded as plain tensors: {reason}") from None


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path} is a PyTorch pickle: pip install torch, or download the model as safetensors"
        ) from None
    return torch
