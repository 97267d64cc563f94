"""Small files of conversations, and their samples."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from baichuan_jax.chat.config import ChatConfig
from baichuan_jax.chat.load import load_chat_template
from baichuan_jax.tune.data_config import InstructionConfig
from baichuan_jax.tune.prepare import Prepared, prepare
from tests.chat.spelling import Bytes

TOKENIZER = Bytes("<|im_start|>", "<|im_end|>")


@cache
def template(name: str = "chatml"):
    return load_chat_template(ChatConfig(template=name), TOKENIZER, None)


def write_lines(path: Path, records: list) -> Path:
    """Write JSON lines; bytes and texts are lines as they are."""
    lines = (line if isinstance(line, str | bytes) else json.dumps(line, ensure_ascii=False) for line in records)
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def prepared(path: Path, length: int = 1000, chat: str = "chatml", **settings) -> Prepared:
    """Return the samples of a file, in a source called "a"."""
    cfg = InstructionConfig(**{"sources": {"a": str(path)}, "held_out": 0.0, **settings})
    return prepare(cfg, template(chat), length)


def random_talk(rng: np.random.Generator, turns: int, size: int) -> dict:
    """Return an OpenAI record of conversation of random letters."""
    texts = ["".join(rng.choice(list("abc你好 "), rng.integers(1, size))) + "." for _ in range(2 * turns)]
    roles = ("user", "assistant") * turns
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts)]}


def samples_of(rows) -> list[tuple]:
    """Return (tokens, targets, weights, positions) of every segment of packed rows, as tuples."""
    found = []
    for row in rows:
        for segment in range(1, row.segments.max() + 1):
            here = row.segments == segment
            parts = (row.tokens, row.targets, row.weights, row.positions)
            found.append(tuple(tuple(part[here].tolist()) for part in parts))
    return sorted(found)
