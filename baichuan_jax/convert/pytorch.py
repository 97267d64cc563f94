"""`pytorch_model.bin`: tensors pickled by PyTorch, read without running what a pickle may hold. Needs torch."""

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
    """Return the tensors of a file by name. Raise UserError without torch, or if the file is not only tensors."""
    torch = _torch(path)
    dtypes = {torch.bfloat16: BFLOAT16, torch.float16: np.dtype("<f2"), torch.float32: np.dtype("<f4")}
    found = {}
    for name, tensor in _load(torch, path).items():
        if not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.dtype not in dtypes:
            raise UserError(
                f"{path}: tensor {name!r} is of dtype {tensor.dtype}; known are {', '.join(map(str, dtypes))}"
            )
        found[name] = PickledTensor(path, dtypes[tensor.dtype], tuple(tensor.shape), name)
    return found


def read_rows(tensor: PickledTensor, first: int, last: int) -> np.ndarray:
    """Return rows first..last of a tensor: an array of its own.

    The file is mapped anew each time: what has been read of a mapped file counts as memory until it is unmapped.
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
        raise UserError(f"{path} cannot be read as tensors alone: {reason}") from None


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(f"{path} is a PyTorch pickle: pip install torch, or get the model as safetensors") from None
    return torch
