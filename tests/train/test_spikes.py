import json

import numpy as np
import pytest

from baichuan_jax.train.config import SpikeConfig
from baichuan_jax.train.spikes import LEAST_HISTORY, LEVEL, Detector
from tests.train.curves import CFG, CLEAR, NAMES, alarms, draw_faults, effect, found_of, synthetic, with_faults

CALM = {"loss": 3.0, "grad_norm": 0.5}
KNOWN = LEVEL + LEAST_HISTORY  # steps after which a spike can be told


def detector(steps: int = KNOWN) -> Detector:
    """Return one that has seen so many calm steps."""
    found = Detector(CFG)
    assert not any(found.add(CALM) for _ in range(steps))
    return found


def test_faults_are_found_in_time():
    """Of those that stand out clearly, at least 98 of 100; and nothing else."""
    clear = found = 0
    for seed in range(2):
        clean, faults = synthetic(seed, 900), draw_faults(seed, 25, first=150, last=850)
        changed = with_faults(clean, faults)
        alarmed = alarms(changed)
        stand_out = [effect(clean, changed, fault.start) > CLEAR for fault in faults]
        in_time = found_of(faults, alarmed)
        clear, found = clear + sum(stand_out), found + sum(np.logical_and(stand_out, in_time))
        inside = {step for fault in faults for step in range(fault.start, fault.start + fault.length)}
        assert set(alarmed) <= inside
    assert clear > 30
    assert found / clear >= 0.98


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_curve_raises_no_alarm(seed):
    assert alarms(synthetic(seed, 700, warmup=50 * (seed + 1))) == []


@pytest.mark.parametrize("slope", [0, -1e-4, 1e-4])
def test_smooth_curves_have_a_least_deviation(slope):
    place = np.arange(500)
    wobble = 1 + 1e-3 * (-1.0) ** place * (place % 50 == 0)
    assert alarms({"loss": 3 * (1 + slope * place) * wobble, "grad_norm": 0.5 * wobble}) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_found_at_once(name):
    for value in (float("nan"), float("inf")):
        assert "is" in Detector(CFG).add(CALM | {name: value})


def test_a_spike_does_not_make_the_next_one_usual():
    found = detector()
    for _ in range(100):
        assert "the loss is 6, " in found.add(CALM | {"loss": 6.0})
    assert found.add(CALM) == ""


@pytest.mark.parametrize("steps", [KNOWN - 1, KNOWN])
def test_too_little_history_tells_nothing(steps):
    assert bool(detector(steps).add(CALM | {"grad_norm": 50.0})) == (steps == KNOWN)


def test_what_it_remembers_outlives_the_process():
    """A detector that is restored from JSON scores as the one that was recorded; without a record it knows nothing."""
    rng = np.random.default_rng(0)
    curve = [{"loss": 3 + 0.1 * x, "grad_norm": 1 + 0.1 * y} for x, y in rng.standard_normal((300, 2))]
    one, other = Detector(CFG), detector()
    for values in curve[:200]:
        one.add(values)
    other.restore(json.loads(json.dumps(one.record())))
    for values in curve[200:]:
        assert one.add(values) == other.add(values)
    assert one.record() == other.record()
    other.restore({})
    assert other.add(CALM | {"loss": 60.0}) == ""


@pytest.mark.parametrize(("field", "value"), [("score", -1.0), ("window", 10), ("rollbacks", 0)])
def test_settings_that_make_no_sense_are_refused(field, value):
    with pytest.raises(Exception, match=f"SpikeConfig.{field}"):
        SpikeConfig(**{field: value})
