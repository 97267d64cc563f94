"""What the tests of time share."""

import base64
from pathlib import Path

import pytest

from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.export import export_huggingface
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer

LINES = ("the people of these united states have made a constitution", "  return 10 == x", "中国人民的生活越来越好。")


@pytest.fixture(scope="session")
def small_tokenizers(tmp_path_factory) -> Path:
    """Return a tokenizer of each kind: ours, its export, and bytes with some pairs in a rank file."""
    folder = tmp_path_factory.mktemp("tokenizers")
    train_tokenizer(TokenizerConfig(vocab=350, character_coverage=0.99), iter(10 * LINES), folder / "tokenizer.model")
    export_huggingface(folder / "tokenizer.model", folder)
    (folder / "ours.model").write_bytes((folder / "tokenizer.model").read_bytes())
    (folder / "theirs.tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" t", b"12", b"\xe4\xb8", b"\xe4\xb8\xad"]
    ranks = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    (folder / "ranks.tiktoken").write_text("".join(ranks))
    return folder
