import random

import pytest

from baichuan_jax.plan.faults import best_interval, expected_goodput

CASES = [(5, 30, 3600), (20, 120, 3600), (60, 300, 24 * 3600), (300, 600, 6 * 3600)]  # save, restart, mttf


def test_golden_values():
    """Computed by hand: sqrt(2 * 60 * 86400) = 3219.94 and Daly's terms; e^(300/86400), and e^(3239.9/86400) - 1."""
    assert best_interval(60, 86400) == pytest.approx(3219.938 * (1 + 0.0186339 / 3 + 0.000347222 / 9) - 60, rel=1e-6)
    assert best_interval(300, 100) == 100
    assert expected_goodput(3179.9, 60, 300, 86400) == pytest.approx(3179.9 / (86400 * 1.0034783 * 0.0382107), rel=1e-4)


@pytest.mark.parametrize(("save", "restart", "mttf"), CASES)
def test_no_other_interval_is_better_by_more_than_a_thousandth(save, restart, mttf):
    best = best_interval(save, mttf)
    others = [expected_goodput(best * 1.02**power, save, restart, mttf) for power in range(-150, 150)]
    assert expected_goodput(best, save, restart, mttf) >= max(others) * 0.999


@pytest.mark.parametrize(("save", "restart", "mttf"), CASES)
def test_runs_with_faults_at_random_moments_have_that_goodput(save, restart, mttf):
    rng, interval, clock, intervals = random.Random(0), best_interval(save, mttf), 0.0, 4000
    for _ in range(intervals):
        due = interval + save
        while (fault := rng.expovariate(1 / mttf)) < due:
            clock += fault
            due = restart + interval + save
        clock += due
    assert intervals * interval / clock == pytest.approx(expected_goodput(interval, save, restart, mttf), rel=0.02)
