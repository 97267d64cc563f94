"""SentencePiece's `.model` files, taken apart: pieces with their scores and types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # types of pieces, as the format numbers them


def parse(content: bytes) -> Any:
    """Returns the ModelProto of a file. Raises ValueError if it is none."""
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    try:
        return ModelProto.FromString(content)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def is_model(content: bytes) -> bool:
    """Return whether a file is a SentencePiece model."""
    try:
        return len(parse(content).pieces) > 0
    except ValueError:
        return False


def retype(model: Any, types: Mapping[str, int]) -> bytes:
    """Returns the file with other types for some pieces."""
    for piece in model.pieces if types else ():
        piece.type = types.get(piece.piece, piece.type)
    return model.SerializeToString(deterministic=True)
