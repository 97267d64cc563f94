"""SentencePiece's `.model` files, parsed: pieces with their scores and types."""

from __future__ import annotations

from typing import Any

from baichuan_jax.tokenizer.symbols import is_special

BPE = 2  # TrainerSpec.ModelType
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # SentencePiece.Type


def parse_model(content: bytes) -> Any:
    """Return the ModelProto of a file. Raise ValueError if it is not one."""
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    try:
        return ModelProto.FromString(content)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def is_model(content: bytes) -> bool:
    """Return whether a file is a SentencePiece model."""
    try:
        return len(parse_model(content).pieces) > 0
    except ValueError:
        return False


def symbols_as_controls(model: Any) -> Any:
    """Return a copy of a model in which symbols that are not text (<reserved_0>) are control pieces.

    So no text encodes to them.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    for piece in copy.pieces:
        if piece.type == USER_DEFINED and is_special(piece.piece):
            piece.type = CONTROL
    return copy
