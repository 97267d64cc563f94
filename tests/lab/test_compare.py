"""The error of bits per byte over windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.lab.compare import different_settings, ratio_error


@given(st.integers(0, 2**32 - 1), st.integers(40, 200))
def test_the_error_is_that_of_drawing_windows_again(seed, count):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(200, 400, count).astype(float)
    bits = sizes * rng.normal(2.5, 0.5, count)
    drawn = rng.integers(0, count, (2000, count))
    again = bits[drawn].sum(1) / sizes[drawn].sum(1)
    assert ratio_error(bits, sizes) == pytest.approx(again.std(), rel=0.2)


def test_equal_rates_have_no_error():
    sizes = np.array([10.0, 20.0, 30.0])
    assert ratio_error(2.5 * sizes, sizes) == pytest.approx(0)


SETTINGS = st.dictionaries(st.sampled_from(["A.a", "A.b", "B.c", "RunConfig.workdir"]), st.sampled_from(["1", "2"]))


@given(st.lists(SETTINGS, min_size=2, max_size=4))
def test_exactly_those_that_differ(settings):
    found = different_settings(settings)
    for name in {name for each in settings for name in each}:
        values = [each.get(name, "") for each in settings]
        differs = len(set(values)) > 1 and name != "RunConfig.workdir"
        assert found.get(name) == (values if differs else None)
