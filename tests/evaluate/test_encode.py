"""Texts as ids: lm-eval's conventions, against its own functions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.encode import Encoder, spelled
from baichuan_jax.tokenizer.checkpoint_files import write_checkpoint_files
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer

ROWS = 0x110000  # an id for every character
TEXT = st.text("ab 中\n", max_size=20)


class Letters:
    """A character an id."""

    bos, eos = 1, 2

    def __init__(self, begins):
        self.begin = (1,) if begins else ()

    def encode_batch(self, texts):
        return [np.array([ord(letter) for letter in text], np.int32) for text in texts]

    def encode(self, text):
        return [ord(letter) for letter in text]


class TheirModel:
    """What lm-eval's own template of a model makes of pairs."""

    def __new__(cls, begins: bool):
        model = pytest.importorskip("lm_eval.api.model")

        class Model(model.TemplateLM):
            eot_token_id, prefix_token_id = 2, 1
            loglikelihood_rolling = generate_until = None

            def tok_encode(self, string, add_special_tokens=None, **_):
                begin = [1] if begins and add_special_tokens is not False else []
                return begin + [ord(letter) for letter in string]

            def _loglikelihood_tokens(self, requests, **_):
                return [(before, after) for _, before, after in requests]

        return Model()


@given(st.lists(st.tuples(TEXT, TEXT.filter(bool)), min_size=1, max_size=5), st.booleans())
def test_pairs(pairs, begins):
    from lm_eval.api.instance import Instance

    pairs = [(before, after) for before, after in pairs if before.strip() or begins or not before]  # theirs fails there
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    assert Encoder(Letters(begins), ROWS).pairs(pairs) == TheirModel(begins).loglikelihood(requests, disable_tqdm=True)


@given(st.text("ab", max_size=60), st.integers(1, 20), st.booleans())
def test_windows(text, context, begins):
    utils = pytest.importorskip("lm_eval.utils")
    encoder = Encoder(Letters(begins), ROWS)
    theirs = utils.get_rolling_token_windows(encoder.texts([text])[0], 1, context, 1)
    assert encoder.windows(text, context) == [utils.make_disjoint_window(window) for window in theirs]


@pytest.mark.parametrize(("bos", "eos", "first"), [(1, 2, 1), (None, 2, 2), (1, None, 1)])
def test_an_empty_context_is_what_comes_before_a_text(bos, eos, first):
    letters = Letters(begins=False)
    letters.bos, letters.eos = bos, eos
    encoder = Encoder(letters, ROWS)
    assert encoder.pairs([("", "ab")]) == [([first], [97, 98])]
    assert encoder.windows("ab", 8) == [([first], [97, 98])]
    assert encoder.prompts(["", "a"]) == [[first], [97]]


def test_nothing_can_come_before_a_text_where_there_is_no_special_id():
    letters = Letters(begins=False)
    letters.bos = letters.eos = None
    assert Encoder(letters, ROWS).pairs([("a", "b")]) == [([97], [98])]
    with pytest.raises(UserError, match="neither BOS nor EOS"):
        Encoder(letters, ROWS).pairs([("", "ab")])


@pytest.mark.parametrize("pair", [("a", "中"), ("中", "a"), ("", "中")])
def test_an_id_beyond_the_token_table_is_named(pair):
    with pytest.raises(UserError, match=r"id 20013 is outside the model's token table of 300 rows"):
        Encoder(Letters(begins=True), 300).pairs([pair])


@given(ids=st.lists(st.integers(3, 299), max_size=12))
def test_bytes_that_are_no_text(tokenizer_file, ids):
    """As the same vocabulary is read by the package that transformers uses."""
    tokenizers = pytest.importorskip("tokenizers")
    ours, theirs = (
        SentencePieceTokenizer(tokenizer_file),
        tokenizers.Tokenizer.from_file(str(tokenizer_file.with_name("tokenizer.json"))),
    )
    assert ours.decode(spelled(ids, ours.byte_ids)) == theirs.decode(ids)


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("t") / "m.model"
    train_tokenizer(TokenizerConfig(vocab=300), iter(["The quick brown fox jumps over the lazy dog"] * 20), path)
    write_checkpoint_files(None, path, SentencePieceTokenizer(path), 64, path.parent)
    return path
