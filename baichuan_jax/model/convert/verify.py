"""Whether two checkpoints, one published and one of ours, are the same function: logits on a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.convert import arrays
from baichuan_jax.model.convert.hf_config import read_config
from baichuan_jax.model.convert.layouts import parameter_shapes
from baichuan_jax.model.convert.reference import reference_logits
from baichuan_jax.model.convert.source import CONFIG, Source
from baichuan_jax.model.decoder import Params, probe

PROBE = (2, 16)  # sequences, tokens
TOLERANCE = 1e-4  # of the largest logit


def verify(published: Path, params: Path, cfg: DecoderConfig) -> float:
    """Returns the largest difference of logits between a published checkpoint and ours, relative to the largest logit.

    params: the directory of our parameters. Either side is read a layer at a time and computed in float32, the
    published one by its own config.json. Raises UserError if they are not the same function.
    """
    source = Source(published)
    layout, theirs = read_config(source.config, published / CONFIG)
    shape = (PROBE[0], min(PROBE[1], cfg.context))
    tokens_BT = np.random.default_rng(0).integers(0, cfg.vocab, shape, np.int32)
    expected_BTV = reference_logits(source, theirs, layout, tokens_BT)
    difference_BTV = np.abs(our_logits(params, cfg, tokens_BT) - expected_BTV)
    relative = float(difference_BTV.max() / np.abs(expected_BTV).max())
    if not relative <= TOLERANCE:
        raise UserError(
            f"{published} and {params} are not the same function: logits differ by {relative:.1e} of the largest, "
            f"{TOLERANCE:.0e} is allowed"
        )
    return relative


def our_logits(params: Path, cfg: DecoderConfig, tokens_BT: np.ndarray) -> np.ndarray:
    """Returns logits_BTV of the parameters in a directory, a layer in memory at a time."""
    stored = {name: arrays.open_array(params, name, shape) for name, shape in parameter_shapes(cfg).items()}

    def read(part: str, index: Any) -> Params:
        found: Params = {}
        for name in (name for name in stored if name.startswith(f"{part}.")):
            *path, leaf = name.split(".")[1:]
            node = found
            for key in path:
                node = node.setdefault(key, {})
            node[leaf] = jnp.asarray(stored[name][index].read().result(), jnp.float32)
        return found

    logits_BTV, _ = probe(cfg, read("ends", ...), lambda number: read("blocks", number), jnp.asarray(tokens_BT))
    return np.asarray(logits_BTV)
