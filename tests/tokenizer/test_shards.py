import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.corpus_encoder import encode_texts
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.shards import (
    TokenStore,
    Windows,
    shard_path,
    token_dtype,
    write_index,
)

TEXTS = [f"document number {n} says " + "hello " * n for n in range(50)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokens")
    train_tokenizer(TokenizerConfig(vocab=290), iter(TEXTS), directory / "m.model")
    tokenizer = SentencePieceTokenizer(directory / "m.model")
    groups = {"train": [TEXTS[:20], TEXTS[20:21], TEXTS[21:]], "validation": [TEXTS[:1]]}
    shards = {
        split: [encode_texts(tokenizer, texts, shard_path(directory, "en", split, n)) for n, texts in enumerate(parts)]
        for split, parts in groups.items()
    }
    write_index(directory, tokenizer.vocab, {"en": shards}, len(tokenizer.begin), len(tokenizer.end))
    return TokenStore(directory), tokenizer, directory


def test_documents_come_back_as_text(store):
    store, tokenizer, _ = store
    assert [tokenizer.decode(ids) for ids in store.documents("en", "train")] == TEXTS
    assert len(store.arrays("en", "train")) > 2, "the test should cover several shards"


def test_each_document_is_framed_and_every_id_counted(store):
    store, tokenizer, _ = store
    ids = np.concatenate(store.arrays("en", "train"))
    assert ids.dtype == np.dtype("<u2")
    assert (ids == tokenizer.bos).sum() == (ids == tokenizer.eos).sum() == len(TEXTS)
    assert len(ids) == store.tokens("en", "train")


def test_windows_predict_every_id_once(store):
    store, _, _ = store
    windows = Windows(store, "en", "train", 32)
    targets = [windows[index][1:] for index in range(len(windows))]
    expected = [ids[1 : 1 + (len(ids) - 1) // 32 * 32] for ids in store.arrays("en", "train")]
    np.testing.assert_array_equal(np.concatenate(targets), np.concatenate(expected))
    assert all(len(windows[index]) == 33 for index in range(len(windows)))


@pytest.mark.parametrize(("vocab", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_the_smallest_integer_that_fits(vocab, dtype):
    assert token_dtype(vocab) == np.dtype(dtype)


def test_a_shard_cut_short_is_named(store, tmp_path):
    import shutil

    shutil.copytree(store[2], tmp_path / "tokens")
    path = tmp_path / "tokens" / "en" / "train-00001.bin"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"train-00001.bin: expected \d+ bytes, found \d+"):
        TokenStore(tmp_path / "tokens").arrays("en", "train")


def test_no_shards(tmp_path):
    with pytest.raises(UserError, match="no token shards"):
        TokenStore(tmp_path)
