"""Check that a published checkpoint and one of ours compute the same function: compare logits on a probe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from baichuan_jax.convert.hf_config import read_config
from baichuan_jax.convert.layouts import LayoutName, matrices, parameter_shapes
from baichuan_jax.convert.merged import Addition
from baichuan_jax.convert.publish import publish
from baichuan_jax.convert.reference import reference_logits
from baichuan_jax.convert.save import bakes, normalised, open_parameters
from baichuan_jax.convert.source import CONFIG, Source
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import Params, probe

PROBE = (2, 16)  # sequences, tokens
TOLERANCE = 1e-4  # of the largest logit


def verify(published: Path, params: Path, cfg: DecoderConfig, addition: Addition | None = None) -> float:
    """Return the largest difference of logits between a published checkpoint and ours, relative to the largest logit.

    params: the directory of our parameters. addition: adapters that were merged into the published ones. Both sides are
    read layer by layer and computed in float32. The published side follows its own config.json. Ours is rounded to the
    dtypes of the published tensors, so that an export in bfloat16 is compared with the same numbers. Raise UserError if
    the difference exceeds TOLERANCE.
    """
    source = Source(published)
    layout, theirs = read_config(source.config, published / CONFIG)
    shape = (PROBE[0], min(PROBE[1], cfg.context))
    tokens_BT = np.random.default_rng(0).integers(0, cfg.vocab, shape, np.int32)
    expected_BTV = reference_logits(source, theirs, layout, tokens_BT)
    todo = list(matrices(publish(cfg, layout), layout))
    dtypes = {(matrix.name, matrix.layer): source.tensors[matrix.tensor].dtype for matrix in todo}
    stored = open_parameters(params, cfg, todo, addition)
    if any(stored[name].dtype.numpy_dtype != dtype for (name, _), dtype in dtypes.items()):
        ours_BTV = _rounded_logits(stored, dtypes, cfg, layout, tokens_BT)
    else:
        ours_BTV = our_logits(params, cfg, tokens_BT, addition)
    relative = float(np.abs(ours_BTV - expected_BTV).max() / np.abs(expected_BTV).max())
    if not relative <= TOLERANCE:
        raise UserError(
            f"{published} and {params} do not compute the same function: logits differ by {relative:.1e} of the "
            f"largest logit; the tolerance is {TOLERANCE:.0e}"
        )
    return relative


def our_logits(params: Path, cfg: DecoderConfig, tokens_BT: np.ndarray, addition: Addition | None = None) -> np.ndarray:
    """Return logits_BTV of the parameters in a directory, one layer in memory at a time. addition: to merge."""
    stored = open_parameters(params, cfg, [], addition)
    return _logits(cfg, lambda name, layer: _read(stored[name], layer), tokens_BT)


def _rounded_logits(
    stored: dict[str, Any],
    dtypes: dict[tuple[str, int | None], np.dtype],
    cfg: DecoderConfig,
    layout: LayoutName,
    tokens_BT: np.ndarray,
) -> np.ndarray:
    """Return logits_BTV of the parameters as published in the layout, each rounded to the dtype of its tensor."""

    def value(name: str, layer: int | None) -> np.ndarray:
        array = _read(stored[name], layer)
        if name == "head.kernel" and bakes(cfg, layout):
            array = normalised(array)
        return array.astype(dtypes[name, layer])

    return _logits(publish(cfg, layout), value, tokens_BT)


def _read(array: Any, layer: int | None) -> np.ndarray:
    return array[... if layer is None else layer].read().result()


def _logits(cfg: DecoderConfig, value: Callable[[str, int | None], np.ndarray], tokens_BT: np.ndarray) -> np.ndarray:
    """Return logits_BTV. value: maps (name, layer or None) to a parameter."""

    def read(layer: int | None) -> Params:
        """Return the parameters of a layer; those outside the blocks for None."""
        found: Params = {}
        for name in (name for name in parameter_shapes(cfg) if name.startswith("blocks.") == (layer is not None)):
            *path, leaf = name.removeprefix("blocks.").split(".")
            node = found
            for key in path:
                node = node.setdefault(key, {})
            node[leaf] = jnp.asarray(value(name, layer), jnp.float32)
        return found

    logits_BTV, _ = probe(cfg, read(None), read, jnp.asarray(tokens_BT))
    return np.asarray(logits_BTV)
