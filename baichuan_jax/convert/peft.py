"""Adapters in the layout of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors.

`lora_A` [r, inputs] and `lora_B` [outputs, r] of a weight are `down` and `up` of ours, transposed. PEFT loads files
whose keys fit nothing, and does nothing with them; here every key has to fit, and every setting has to be known.
"""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from baichuan_jax.convert.layouts import LayoutName, Matrix, matrices
from baichuan_jax.convert.publish import publish
from baichuan_jax.convert.safetensors import Tensor, place, read_header, read_metadata, read_rows
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import atomic_path, write_json
from baichuan_jax.core.json_object import Fields, read_object, shown
from baichuan_jax.model.config import ADAPTER_FILES, DecoderConfig, LoraConfig
from baichuan_jax.model.lora import GROUPS, Adapters

CONFIG, MODEL = ADAPTER_FILES
FINGERPRINT = "base_fingerprint"  # in the metadata of the tensors, which PEFT does not read
SIDES = {"down": "lora_A", "up": "lora_B"}
PACKED = "W_pack"
# Settings of PEFT that change nothing of what a trained adapter computes.
INERT = {
    *("peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision", "task_type"),
    *("inference_mode", "r", "lora_alpha", "lora_dropout", "megatron_core", "qalora_group_size"),
    *("target_modules", "exclude_modules"),  # the keys of the tensors say what has an adapter
}
# What the others have to be. Other ways to begin with change the base.
VALUES = {"bias": ("none",), "init_lora_weights": (True, False, "gaussian", "orthogonal")}
OFF = (None, False, "", [], {})


class PeftAdapter(NamedTuple):
    """What an adapter's directory holds. cfg: rank, alpha, dropout and targets. base: its fingerprint, or None."""

    cfg: LoraConfig
    adapters: Adapters
    base: str | None


def write_adapter(adapter: PeftAdapter, model_cfg: DecoderConfig, dtype: np.dtype, directory: Path) -> dict[str, Any]:
    """Write an adapter for a base in the layout "llama"; return what is in it.

    Raise UserError if the layout cannot express the decoder.
    """
    cfg, tensors = adapter.cfg, {}
    for matrix in adapted(model_cfg, "llama", adapter.adapters):
        name = matrix.name.removeprefix("blocks.")
        down, up = (np.asarray(adapter.adapters[name][side][matrix.layer]) for side in ("down", "up"))
        tensors[_key(matrix, "down")] = down.reshape(-1, cfg.rank).T
        tensors[_key(matrix, "up")] = up.reshape(cfg.rank, -1).T
    metadata = {FINGERPRINT: adapter.base} if adapter.base else {}
    with atomic_path(directory / MODEL) as partial:
        head, placed = place(partial, {key: (dtype, value.shape) for key, value in tensors.items()}, metadata)
        with partial.open("wb") as file:
            file.write(head)
            for key, tensor in sorted(placed.items(), key=lambda item: item[1].start):
                file.write(np.ascontiguousarray(tensors[key], tensor.dtype).view(np.uint8).data)
    write_json(directory / CONFIG, _config(cfg, tensors))
    elements = sum(value.size for value in tensors.values())
    return {"parameters": elements, "bytes": elements * dtype.itemsize, "dtypes": [dtype.name], "files": [MODEL]}


def _config(cfg: LoraConfig, keys: dict[str, Any]) -> dict[str, Any]:
    modules = dict.fromkeys(key.split(".")[-3] for key in keys)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": cfg.rank,
        "lora_alpha": int(cfg.alpha) if cfg.alpha == int(cfg.alpha) else cfg.alpha,
        "lora_dropout": cfg.drop,
        "target_modules": sorted(modules),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "modules_to_save": None,
        "inference_mode": True,
    }


def read_adapter(directory: Path, model_cfg: DecoderConfig) -> PeftAdapter:
    """Return an adapter, float32, of a decoder in the layout "llama", or with W_pack in the layout "baichuan".

    Raise UserError, naming the setting or the tensor, unless all of it is understood and fits the decoder.
    """
    cfg, file = _read_config(directory / CONFIG), directory / MODEL
    if not file.is_file():
        raise UserError(f"there is no {file}; save the adapter with safe_serialization=True")
    tensors = read_header(file)
    if not tensors:
        raise UserError(f"{file} holds no tensor")
    layout: LayoutName = "baichuan" if any(f".{PACKED}." in key for key in tensors) else "llama"
    possible = adapted(model_cfg, layout, {f"{part}.{name}" for part, names in GROUPS.items() for name in names})
    names = {matrix.name for matrix in possible if {_key(matrix, side) for side in SIDES} & tensors.keys()}
    found = [matrix for matrix in possible if matrix.name in names]
    _check_keys(file, tensors, found)
    adapters: Adapters = {}
    for matrix in found:
        for side, value in _sides(tensors, matrix, cfg.rank).items():
            layers = adapters.setdefault(matrix.name.removeprefix("blocks."), {}).setdefault(side, [])
            layers.append(value)
    stacked = {name: {side: np.stack(layers) for side, layers in sides.items()} for name, sides in adapters.items()}
    targets = tuple(re.escape(name) for name in stacked)
    return PeftAdapter(
        LoraConfig(cfg.rank, cfg.alpha, cfg.drop, targets), stacked, read_metadata(file).get(FINGERPRINT)
    )


def adapted(model_cfg: DecoderConfig, layout: LayoutName, names: Container[str]) -> list[Matrix]:
    """Return the weights of these names, such as "mlp.up", in a layout, layer by layer."""
    whole = matrices(publish(model_cfg, layout), layout)
    return [matrix for matrix in whole if matrix.name.removeprefix("blocks.") in names]


def _key(matrix: Matrix, side: str) -> str:
    return f"base_model.model.{matrix.tensor.removesuffix('.weight')}.{SIDES[side]}.weight"


def _read_config(path: Path) -> LoraConfig:
    """Return rank, alpha and dropout. Raise UserError, naming the setting, for an adapter that is not plain LoRA."""
    found = read_object(path)
    if found.get("peft_type") != "LORA":
        raise UserError(f"{path}: peft_type = {shown(found.get('peft_type'))}: only 'LORA' is supported")
    for name, value in found.items():
        if name not in INERT and value not in VALUES.get(name, OFF):
            raise UserError(f"{path}: {name} = {shown(value)} is not supported; only plain LoRA of linear layers is")
    fields = Fields(found, str(path))
    return LoraConfig(fields.integer("r"), fields.number("lora_alpha"), fields.share("lora_dropout", 0.0))


def _check_keys(file: Path, tensors: dict[str, Tensor], found: list[Matrix]) -> None:
    """Raise UserError unless there are both sides of these weights, in every layer, and nothing else."""
    expected = dict.fromkeys(_key(matrix, side) for matrix in found for side in SIDES)
    spare = [key for key in tensors if key not in expected]
    if spare:
        example = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
        raise UserError(
            f"{file}: {spare[0]!r} ({len(spare)} such) fits no weight of the config's decoder; a key that does is "
            f"{example!r}"
        )
    missing = [key for key in expected if key not in tensors]
    if missing:
        raise UserError(f"{file}: {missing[0]!r} ({len(missing)} such) is missing; other layers have it")


def _sides(tensors: dict[str, Tensor], matrix: Matrix, rank: int) -> dict[str, np.ndarray]:
    """Return {"down": [*in, r], "up": [r, *out]} of a weight. Parts of a packed weight have the same `down`."""
    inputs, shape = matrix.inputs, matrix.shape
    rows, columns = matrix.tensor_shape
    own = int(np.prod(shape[inputs:]))
    values = {}
    for side, expected in (("down", (rank, columns)), ("up", (rows, rank))):
        tensor = tensors[_key(matrix, side)]
        if tensor.shape != expected:
            raise UserError(
                f"{tensor.file}: {_key(matrix, side)!r} has shape {list(tensor.shape)}, the config's decoder and "
                f"r = {rank} require {list(expected)}"
            )
        first, last = (0, rank) if side == "down" else (matrix.first, matrix.first + own)
        values[side] = read_rows(tensor, first, last).astype(np.float32)
        if not np.isfinite(values[side]).all():
            raise UserError(
                f"{tensor.file}: {_key(matrix, side)!r} holds NaN or infinity: its training has diverged; save the "
                "adapter of an earlier step"
            )
    return {
        "down": values["down"].T.reshape(*shape[:inputs], rank),
        "up": values["up"].T.reshape(rank, *shape[inputs:]),
    }
