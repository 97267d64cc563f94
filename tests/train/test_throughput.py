from dataclasses import dataclass, replace
from itertools import product

import jax
import jax.numpy as jnp
import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.decoder import init_params, loss
from baichuan_jax.model.execution import Batch, Execution
from baichuan_jax.model.flops import executed_flops_per_token, flops_per_token
from baichuan_jax.train.config import ProfileConfig
from baichuan_jax.train.profile import Profiler
from baichuan_jax.train.throughput import Meter, peak_memory
from tests.train.small import MODEL, layout

REMAT, IMPLEMENTATIONS = ("products", "block"), ("xla", "chunked", "cudnn")
ONE_LAYER = DecoderConfig(vocab=512, layers=1, hidden=256, heads=4, head_dim=64, inner=704, context=256)


@pytest.mark.parametrize("remat", ["none", "products", "block"])
def test_executed_flops_are_those_that_xla_counts(remat):
    """Of a single layer, which no scan repeats; XLA counts the small operations as well."""
    model = replace(ONE_LAYER, remat=remat)
    tokens = jnp.zeros((2, 256), jnp.int32)
    objective = lambda params: loss(model, params, Batch(tokens, tokens)).minimised
    lowered = jax.jit(jax.grad(objective)).lower(jax.eval_shape(lambda: init_params(model, jax.random.key(0))))
    counted = lowered.cost_analysis()["flops"] / tokens.size
    assert counted == pytest.approx(executed_flops_per_token(model, 256, "xla"), rel=0.06)


def test_what_is_executed_is_more_than_what_is_needed():
    needed = [flops_per_token(MODEL, 64, causal) for causal in (True, False)]
    kept = replace(MODEL, remat="none")
    assert [executed_flops_per_token(kept, 64, implementation) for implementation in ("chunked", "xla")] == needed
    again = {
        (r, k): executed_flops_per_token(replace(MODEL, remat=r), 64, k) for r, k in product(REMAT, IMPLEMENTATIONS)
    }
    assert again["products", "cudnn"] == needed[0]  # the one kernel whose results are kept
    assert needed[1] < again["products", "xla"] < again["block", "xla"] < 4 / 3 * needed[1]


def test_the_meter_tells_all_rates():
    meter = Meter(replace(MODEL, remat="none"), 64, Execution(layout=layout(8)))
    meter.add(1000)
    read = meter.read()
    assert read["tokens_per_second"] == pytest.approx(8 * read["tokens_per_second_per_device"])
    assert read["mfu_causal"] < read["mfu_full"] == read["hfu"]
    assert "peak_memory_bytes" not in read  # processors do not count it


@dataclass
class Counting:
    peak: int | None

    def memory_stats(self) -> dict | None:
        return None if self.peak is None else {"bytes_in_use": 1, "peak_bytes_in_use": self.peak}


def test_memory_is_that_of_the_fullest_device():
    assert peak_memory([Counting(3), Counting(7)]) == {"peak_memory_bytes": 7}
    assert peak_memory([Counting(None)]) == {}


def test_a_trace_holds_the_steps_asked_for(tmp_path):
    """In the format that xprof reads, with the numbers of the steps."""
    double = jax.jit(lambda x: 2 * x)
    with Profiler(ProfileConfig(first=3, steps=2), tmp_path) as profiler:
        for number in range(1, 7):
            with profiler.step(number):
                x = double(jnp.ones(3))
            profiler.after(number, x)
    [trace] = (tmp_path / "plugins" / "profile").rglob("*.xplane.pb")
    assert set(step_numbers(trace)) == {3, 4}


def step_numbers(trace):
    for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
        for line in plane.lines:
            for event in line.events:
                if event.name == "train":
                    yield from (value for name, value in event.stats if name == "step_num")


def test_an_interrupted_trace_is_written(tmp_path):
    with pytest.raises(KeyboardInterrupt), Profiler(ProfileConfig(first=1, steps=9), tmp_path) as profiler:
        interrupted_in(profiler)
    assert list(tmp_path.rglob("*.xplane.pb"))


def interrupted_in(profiler: Profiler) -> None:
    with profiler.step(1):
        raise KeyboardInterrupt


def test_no_trace(tmp_path):
    for cfg, start in ((ProfileConfig(), True), (ProfileConfig(first=1, steps=1), False)):
        with Profiler(cfg, tmp_path / "trace", start) as profiler, profiler.step(1):
            pass
    assert not (tmp_path / "trace").exists()
    with pytest.raises(UserError, match=r"ProfileConfig.steps = 0"):
        ProfileConfig(steps=0)
