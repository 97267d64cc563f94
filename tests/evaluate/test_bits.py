import math

import jax
import numpy as np
import pyarrow
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.baselines import unigram_bits, zstd_bits
from baichuan_jax.evaluate.bits import BitsPerByte, by_position
from baichuan_jax.evaluate.heldout import held_out
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import apply, init_params
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.corpus_encoder import encode_texts
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from baichuan_jax.tokenizer.shards import TokenStore, shard_path, write_index

TEXTS = [f"line {n}: the quick brown fox, 敏捷的棕色狐狸 number {n * n}.\n" for n in range(60)]
MODEL = DecoderConfig(vocab=360, layers=1, hidden=32, heads=4, head_dim=8, inner=48, context=64, remat="none")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokens")
    train_tokenizer(TokenizerConfig(vocab=360), iter(TEXTS), directory / "m")
    tokenizer = SentencePieceTokenizer(directory / "m")
    splits = {
        split: [encode_texts(tokenizer, texts, shard_path(directory, "mixed", split, 0))]
        for split, texts in {"train": TEXTS[:50], "validation": TEXTS[50:]}.items()
    }
    write_index(directory, tokenizer.vocab, {"mixed": splits})
    return tokenizer, TokenStore(directory)


@pytest.mark.parametrize("length", [7, 16, 1000])
def test_windows_predict_every_id_but_the_first_exactly_once(run, length):
    _, store = run
    ids = np.concatenate(store.arrays("mixed", "validation"))
    text = held_out(store, "mixed", length)
    np.testing.assert_array_equal(text.targets(), ids[1:])
    previous = text.tokens[:, :-1][text.counted]
    np.testing.assert_array_equal(previous, ids[:-1])


def test_a_limit_spreads_over_the_text(run):
    _, store = run
    some, whole = held_out(store, "mixed", 8, limit=5), held_out(store, "mixed", 8)
    assert len(some.tokens) == 5
    np.testing.assert_array_equal(some.tokens[[0, -1]], whole.tokens[[0, -1]])


@pytest.mark.parametrize("axes", [{"fsdp": 8}, {"data": 2, "fsdp": 2, "tensor": 2}, {"fsdp": 2, "context": 4}])
def test_bits_per_byte_against_the_definition(run, axes):
    tokenizer, store = run
    params = init_params(MODEL, jax.random.key(0))
    text = held_out(store, "mixed", 16)
    layout = Layout(make_mesh(MeshConfig(**axes)), AxisRules()).by_rows
    score = BitsPerByte(MODEL, {"mixed": text}, tokenizer.byte_lengths(), Execution(layout=layout), 5)
    logp = jax.nn.log_softmax(apply(MODEL, params, Batch(text.tokens[:, :-1])))
    picked = np.take_along_axis(np.asarray(logp), text.tokens[:, 1:, None], -1)[..., 0]
    size = sum(len(line.encode()) for line in TEXTS[50:])
    assert score.bytes("mixed") == size
    assert score(params)["mixed"] == pytest.approx(-picked[text.counted].sum() / math.log(2) / size, rel=1e-5)
    bits_T = np.where(text.counted, -picked, 0).sum(0) / math.log(2)
    np.testing.assert_allclose(score.bits(params)["mixed"].by_position, bits_T, rtol=1e-4)
    bits_B = np.where(text.counted, -picked, 0).sum(1) / math.log(2)
    np.testing.assert_allclose(score.bits(params)["mixed"].by_window, bits_B, rtol=1e-4)
    assert score.bytes_of_windows("mixed").shape == bits_B.shape
    assert score.bytes_of_windows("mixed").sum() == size
    parts = by_position(score.bits(params)["mixed"].by_position, score.bytes_at("mixed"))
    assert [(part["first"], part["last"]) for part in parts] == [(1, 1), (2, 3), (4, 7), (8, 16)]
    inside = text.counted[:, 3:7]
    size = tokenizer.byte_lengths()[text.tokens[:, 4:8][inside]].sum()
    assert parts[2]["bits_per_byte"] == pytest.approx(bits_T[3:7].sum() / size, rel=1e-4)


def test_a_position_of_no_bytes_is_left_out():
    parts = by_position(np.array([2.0, 3.0, 4.0]), np.array([0, 1, 1]))
    assert parts == [{"first": 2, "last": 3, "bits_per_byte": 3.5}]


def test_unigram_by_hand(run):
    tokenizer, store = run
    text = held_out(store, "mixed", 16)
    ids = np.concatenate(store.arrays("mixed", "train")).tolist()
    bits = 0.0
    for target in text.targets().tolist():
        bits -= math.log2((ids.count(target) + 1) / (len(ids) + tokenizer.vocab))
    assert unigram_bits(store, "mixed", text) == pytest.approx(bits)


def test_zstd_is_of_the_same_text(run):
    tokenizer, store = run
    compressed = pyarrow.Codec("zstd", 19).compress("".join(TEXTS[50:]).encode())
    assert zstd_bits(tokenizer, held_out(store, "mixed", 16)) == 8 * len(compressed)


def test_no_validation_text(run, tmp_path):
    tokenizer, _ = run
    splits = {
        split: [encode_texts(tokenizer, [], shard_path(tmp_path, "d", split, 0))] for split in ("train", "validation")
    }
    write_index(tmp_path, tokenizer.vocab, {"d": splits})
    with pytest.raises(UserError, match="domain 'd' has no validation text"):
        held_out(TokenStore(tmp_path), "d", 8)
