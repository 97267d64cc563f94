"""Tokenizers that several tests use."""

import base64
from pathlib import Path

import pytest

from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.export import export_huggingface
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.word_lists import word_lines


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """One tokenizer of each kind: ours, its export, and bytes with some pairs in a rank file."""
    folder = tmp_path_factory.mktemp("tokenizers")
    lines = [*word_lines("en", 300_000), *word_lines("zh", 100_000), " " * 30, "=" * 30, "    x = 10"]
    for layout in ("plain", "baichuan"):
        (folder / layout).mkdir()
        cfg = TokenizerConfig(vocab=3000, character_coverage=0.99, layout=layout)
        train_tokenizer(cfg, iter(lines), folder / layout / "tokenizer.model")
        export_huggingface(folder / layout / "tokenizer.model", folder / layout)
    (folder / "ours.model").write_bytes((folder / "plain/tokenizer.model").read_bytes())
    (folder / "theirs.tokenizer.json").write_bytes((folder / "plain/tokenizer.json").read_bytes())
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" t", b"12", b"\xe4\xb8", b"\xe4\xb8\xad"]
    ranks = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    (folder / "ranks.tiktoken").write_text("".join(ranks))
    (folder / "notes.txt").write_text("not a tokenizer")
    return folder
