"""Check that a published checkpoint holds exactly the tensors that its config requires."""

from __future__ import annotations

import numpy as np

from baichuan_jax.convert.layouts import LLAMA, LayoutName, tensor_shapes
from baichuan_jax.convert.source import Source
from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig

BUFFERS = (".rotary_emb.inv_freq",)  # in old checkpoints: not parameters, they follow from the config
TABLE, HEAD = LLAMA["embed.table"].tensor, LLAMA["head.kernel"].tensor
ROWS = 4096  # compared at once


def check(source: Source, cfg: DecoderConfig, layout: LayoutName) -> None:
    """Raise UserError, naming the tensor, unless `source` has exactly the tensors of the config, in their shapes."""
    expected = tensor_shapes(cfg, layout)
    found = {name for name in source.tensors if not name.endswith(BUFFERS)}
    repeated = {HEAD} & found - set(expected)  # a tied head may be stored all the same
    missing = [name for name in expected if name not in found]
    spare = [name for name in source.tensors if name in found - set(expected) - repeated]
    where = source.directory
    if missing:
        raise UserError(f"{where} is missing the tensor {missing[0]!r}{_more(missing)}; its config.json requires it")
    if spare:
        raise UserError(
            f"{where} has an unexpected tensor {spare[0]!r}{_more(spare)}; its config.json does not describe it"
        )
    for name, shape in expected.items():
        _check_shape(source, name, shape)
    if repeated:
        _check_shape(source, HEAD, expected[TABLE])
        _check_tied(source, cfg.vocab)


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _check_shape(source: Source, name: str, shape: tuple[int, ...]) -> None:
    tensor = source.tensors[name]
    if tensor.shape != shape:
        raise UserError(
            f"{tensor.file}: tensor {name!r} has shape {list(tensor.shape)}; config.json requires {list(shape)}"
        )


def _check_tied(source: Source, vocab: int) -> None:
    for first in range(0, vocab, ROWS):
        table, head = (source.rows(name, first, min(first + ROWS, vocab)) for name in (TABLE, HEAD))
        if not np.array_equal(table, head):
            raise UserError(
                f"{source.tensors[HEAD].file}: config.json ties the head to the token table, but {HEAD!r} differs from "
                f"{TABLE!r}; to use the head, set tie_word_embeddings to false in config.json"
            )
