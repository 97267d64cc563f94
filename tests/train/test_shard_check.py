"""Token shards that are not what was written, or have ids of another vocabulary, are refused before training."""

import os

import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.tokenizer import shards
from baichuan_jax.tokenizer.shards import TokenStore, describe_shard, shard_path, write_index, write_shard
from baichuan_jax.train.shard_check import verify_shards

U2 = np.dtype("<u2")


@pytest.fixture
def tokens(tmp_path):
    """Return a directory of three shards, one without text, with ids below 64."""
    entries = []
    for number, size in enumerate((300, 0, 200)):
        path = shard_path(tmp_path / "tokens", "zh", "train", number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, [np.arange(size, dtype=U2) % 64], U2)
        entries.append(describe_shard(path, U2))
    write_index(tmp_path / "tokens", 64, {"zh": {"train": entries}})
    return tmp_path / "tokens"


def check(tokens, vocab=64):
    verify_shards(TokenStore(tokens), vocab, tokens.parent / "shards.json")


@pytest.mark.parametrize(("name", "size"), [("train-00000.bin", 600), ("train-00002.idx", 16)])
def test_a_flipped_bit_is_found(tokens, name, size):
    check(tokens)
    path = tokens / "zh" / name
    content = bytearray(path.read_bytes())
    assert len(content) == size
    content[size // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(0, 10**9))  # whatever the clock's grain
    with pytest.raises(UserError, match=f"{name} does not match its checksum in index.json; delete {tokens}"):
        check(tokens)


def test_ids_of_another_vocabulary_are_refused(tokens):
    check(tokens, 64)
    with pytest.raises(UserError, match=r"train-0000[02]\.bin has the id 63, and DecoderConfig\.vocab = 63; delete"):
        check(tokens, 63)


def test_shards_of_older_code_are_read_for_their_ids(tokens):
    index = read_json(tokens / "index.json")
    for shard in index["shards"]["zh"]["train"]:
        del shard["largest_id"], shard["checksums"]
    write_json(tokens / "index.json", index)
    check(tokens)
    with pytest.raises(UserError, match="has the id 63"):
        check(tokens, 60)


def test_a_missing_file_is_named(tokens):
    (tokens / "zh/train-00002.bin").unlink()
    with pytest.raises(UserError, match=r"train-00002\.bin: expected 400 bytes, found None"):
        check(tokens)


def test_what_has_not_changed_is_not_read_again(tokens, monkeypatch):
    read = []
    hashed = shards.file_hash
    monkeypatch.setattr(shards, "file_hash", lambda path: read.append(path.name) or hashed(path))
    check(tokens)
    assert len(read) == 6
    check(tokens)
    assert len(read) == 6
    os.utime(tokens / "zh/train-00002.bin", ns=(0, 10**9))
    check(tokens)
    assert sorted(read[6:]) == ["train-00002.bin", "train-00002.idx"]
