import jax
import numpy as np
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.train.config import MixConfig, TrainConfig
from baichuan_jax.train.input import Batches, iterate, place
from tests.train.small import layout, store


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return store(tmp_path_factory.mktemp("tokens"))


def assert_same(found: list, expected: list) -> None:
    for a, b in zip(found, expected, strict=True):
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_batches_are_a_pure_function_of_seed_and_step(tokens):
    cfg = TrainConfig(steps=20, batch=8, length=16)
    forward = [Batches(cfg, MixConfig(), tokens)[step] for step in range(20)]
    batches = Batches(cfg, MixConfig(), tokens)
    backward = [batches[step] for step in reversed(range(20))][::-1]
    assert_same(forward, backward)
    np.testing.assert_array_equal(forward[0].tokens[:, 1:], forward[0].targets[:, :-1])
    np.testing.assert_array_equal(forward[0].tokens[:, 0] % 2, forward[0].domains)
    other = Batches(TrainConfig(steps=20, batch=8, length=16, seed=1), MixConfig(), tokens)
    assert not np.array_equal(forward[0].tokens, other[0].tokens)


def test_the_mixture_has_the_configured_weights(tokens):
    cfg = TrainConfig(steps=100, batch=10, length=16)
    batches = Batches(cfg, MixConfig({"a": 1.0, "b": 4.0}), tokens)
    odd = np.mean([batches[step].tokens[:, 0] % 2 for step in range(100)])
    assert odd == pytest.approx(0.8, abs=0.005)


def test_no_weights_means_by_size(tokens):
    batches = Batches(TrainConfig(steps=50, batch=8, length=16), MixConfig(), tokens)
    odd = np.mean([batches[step].tokens[:, 0] % 2 for step in range(50)])
    assert odd == pytest.approx(0.25, abs=0.01)


def test_the_loader_goes_on_where_its_state_says(tokens):
    cfg = TrainConfig(steps=12, batch=4, length=16)
    batches = Batches(cfg, MixConfig(), tokens)
    loader = iterate(cfg, batches)
    first = [next(loader) for _ in range(5)]
    state = loader.get_state()
    rest = list(loader)
    assert_same(first + rest, [batches[step] for step in range(12)])
    resumed = iterate(cfg, batches)
    resumed.set_state(state)
    assert_same(list(resumed), rest)


def test_place_lays_rows_over_the_batch_axes():
    lay = layout(8, data=2, fsdp=2, tensor=2)
    array = place(lay, np.arange(8 * 3, dtype=np.int32).reshape(8, 3))
    assert array.addressable_shards[0].data.shape == (2, 3)
    np.testing.assert_array_equal(array, np.arange(24).reshape(8, 3))


def test_sequences_longer_than_the_text(tokens):
    with pytest.raises(UserError, match=r"TrainConfig.length = 5000"):
        Batches(TrainConfig(batch=4, length=5000), MixConfig(), tokens)


def test_weights_that_follow_others_change_the_batches_after_them_alone(tokens):
    cfg, mix = TrainConfig(steps=20, batch=8, length=16), MixConfig({"a": 1.0, "b": 4.0})
    before, after = Batches(cfg, MixConfig({"a": 1.0}), tokens), Batches(cfg, mix, tokens)
    after.follow([(5, {"a": 1.0})])
    planned = Batches(cfg, MixConfig({"a": 1.0}, ((5 * 8 * 16, mix.weights),)), tokens)
    assert_same([after[step] for step in range(20)], [planned[step] for step in range(20)])
    assert_same([after[step] for step in range(5)], [before[step] for step in range(5)])
    assert np.mean([after[step].domains for step in range(5, 20)]) == pytest.approx(0.8, abs=0.01)
