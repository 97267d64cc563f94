import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.generate import generate
from baichuan_jax.generate.sampling import choose, nucleus
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import apply, init_params
from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.tokenizer import Tokenizer
from baichuan_jax.tokenizer.train import train

MODEL = DecoderConfig(vocab=300, layers=2, hidden=32, heads=4, head_dim=8, inner=48, context=64)
PROMPTS = ["The", "中国 12", "def f(x):\n    return"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / "m"
    train(TokenizerConfig(vocab=300), iter(["The quick brown fox jumps over the lazy dog def return"] * 20), path)
    return Tokenizer(path)


@pytest.fixture(scope="module")
def params():
    # Large weights, so that the logits are far from ties.
    return jax.tree.map(lambda x: x * 6, init_params(MODEL, jax.random.key(0)))


def greedy_by_hand(params, tokenizer, prompt: str, count: int) -> str:
    """One token at a time over the whole text, without a cache."""
    ids = [tokenizer.bos, *tokenizer.encode(prompt)]
    for _ in range(count):
        row = np.zeros((1, MODEL.context), np.int32)
        row[0, : len(ids)] = ids
        ids.append(int(jnp.argmax(apply(MODEL, params, row)[0, len(ids) - 1])))
        if ids[-1] == tokenizer.eos:
            break
    return tokenizer.decode(ids[1 + len(tokenizer.encode(prompt)) :])


def test_greedy_equals_decoding_without_a_cache(params, tokenizer):
    cfg = SampleConfig(max_tokens=12, temperature=0)
    texts = generate(cfg, MODEL, params, tokenizer, PROMPTS)
    assert texts == [greedy_by_hand(params, tokenizer, prompt, 12) for prompt in PROMPTS]
    assert len(set(texts)) == len(texts)


def test_a_seed_fixes_the_samples(params, tokenizer):
    def sample(seed):
        return generate(SampleConfig(max_tokens=8, temperature=1.0, seed=seed), MODEL, params, tokenizer, PROMPTS)

    assert sample(0) == sample(0)
    assert sample(0) != sample(1)


def test_nucleus_keeps_the_smallest_set_that_reaches_top_p():
    logits = jnp.log(jnp.array([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]]))
    kept = jnp.isfinite(nucleus(logits, 0.7))
    np.testing.assert_array_equal(kept, [[False, True, False, True], [True, False, False, False]])
    np.testing.assert_array_equal(nucleus(logits, 1.0), logits)


def test_draws_follow_the_probabilities():
    logits = jnp.tile(jnp.log(jnp.array([0.1, 0.2, 0.7])), (20_000, 1))
    drawn = choose(logits, jax.random.key(0), temperature=1.0, top_p=1.0)
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, [0.1, 0.2, 0.7], atol=0.01)
    cooler = choose(logits, jax.random.key(0), temperature=0.5, top_p=1.0)
    np.testing.assert_allclose(np.bincount(cooler) / 20_000, np.array([1, 4, 49]) / 54, atol=0.01)


def test_a_continuation_that_does_not_fit(params, tokenizer):
    with pytest.raises(UserError, match=r"SampleConfig.max_tokens = 64: expected at most \d+ after this prompt"):
        generate(SampleConfig(max_tokens=64), MODEL, params, tokenizer, ["The"])
