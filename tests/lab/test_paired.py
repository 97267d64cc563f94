import numpy as np
import pytest

from baichuan_jax.lab.paired import compare_pairs


def test_a_t_interval_by_hand():
    """Differences 1, 2, 3: standard error 1 / sqrt(3), and t of 2 degrees of freedom is 4.3027."""
    found = compare_pairs(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2.0
    assert found.t == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)
    assert found.bootstrap[0] >= 1.0
    assert found.verdict == "cannot tell"


def test_verdicts():
    spread = np.array([-0.01, 0.0, 0.01, 0.005, -0.005])
    assert compare_pairs(spread - 1.0).verdict == "better"
    assert compare_pairs(spread + 1.0).verdict == "worse"
    assert compare_pairs(spread).verdict == "cannot tell"
    assert compare_pairs(np.zeros(5)).verdict == "cannot tell"


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = [compare_pairs(rng.normal(0.0, 1.0, 5)).t for _ in range(1000)]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in held]) <= 0.97
