"""A Hugging Face checkpoint on disk: config.json, and the tensors of a single file or of the files in an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from baichuan_jax.convert import pytorch, safetensors
from baichuan_jax.convert.pytorch import PickledTensor
from baichuan_jax.convert.safetensors import Tensor
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.json_object import read_object

CONFIG = "config.json"
SINGLE = ("model.safetensors", "pytorch_model.bin")  # the first that exists is read
INDEX = tuple(f"{name}.index.json" for name in SINGLE)
READERS = {".safetensors": safetensors.read_header, ".bin": pytorch.read_names}


class Source:
    """The config and the tensors of a checkpoint. Opening it reads every header and no tensor.

    config: config.json. files: those that hold tensors. tensors: what is in them, by name.
    """

    def __init__(self, directory: Path):
        if not directory.is_dir():
            raise UserError(f"{directory} is not a directory; name one that contains {CONFIG} and {SINGLE[0]}")
        self.directory = directory
        self.config: dict[str, Any] = read_object(directory / CONFIG)
        self.files, listed = _files(directory)
        self.tensors: dict[str, Tensor | PickledTensor] = {}
        for file in self.files:
            for name, tensor in READERS[file.suffix](file).items():
                if name in self.tensors:
                    raise UserError(f"tensor {name!r} is in both {self.tensors[name].file} and {file}")
                self.tensors[name] = tensor
        for name, file in listed.items():
            if name not in self.tensors or self.tensors[name].file.name != file:
                raise UserError(f"{directory}: the index maps tensor {name!r} to {file}, which does not contain it")

    def rows(self, name: str, first: int, last: int) -> np.ndarray:
        """Return a copy of rows first..last of a tensor."""
        tensor = self.tensors[name]
        read = safetensors.read_rows if isinstance(tensor, Tensor) else pytorch.read_rows
        return read(tensor, first, last)


def _files(directory: Path) -> tuple[list[Path], dict[str, str]]:
    """Return the files with tensors and, where there is an index, {tensor: file name}."""
    for single, index in zip(SINGLE, INDEX):
        if (directory / single).is_file():
            return [directory / single], {}
        if (directory / index).is_file():
            return _indexed(directory, directory / index)
    raise UserError(f"{directory} contains none of {', '.join(SINGLE + INDEX)}")


def _indexed(directory: Path, index: Path) -> tuple[list[Path], dict[str, str]]:
    listed = read_object(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(file, str) for file in listed.values()):
        raise UserError(f"{index} has no weight_map from tensors to files")
    for name, file in listed.items():
        if Path(file).name != file or Path(file).suffix not in READERS:
            raise UserError(
                f"{index} maps tensor {name!r} to {file!r}, which is not a weight file in the same directory"
            )
        if not (directory / file).is_file():
            raise UserError(f"{directory / file} is missing, but {index.name} maps {name!r} to it")
    return [directory / file for file in sorted(set(listed.values()))], listed
