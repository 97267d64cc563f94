"""What the engine makes of a request is what the decoder alone would, whatever else is going on."""

from collections import Counter
from dataclasses import replace

import jax
import jax.monitoring
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import EngineConfig, SampleConfig
from baichuan_jax.generate.engine import Engine
from baichuan_jax.model.config import AttentionConfig, PositionConfig
from baichuan_jax.model.decoder import init_params
from baichuan_jax.model.execution import Execution
from baichuan_jax.parallel.config import AxisRules, MeshConfig
from baichuan_jax.parallel.layout import Layout
from baichuan_jax.parallel.mesh import make_mesh
from tests.generate.naive import END, MODEL, continued

PROMPTS = st.lists(st.integers(3, MODEL.vocab - 1), min_size=1, max_size=60)
SAMPLES = st.builds(
    SampleConfig,
    max_tokens=st.integers(1, 20),
    temperature=st.sampled_from([0.0, 0.0, 0.7, 1.3]),
    top_k=st.sampled_from([0, 1, 5]),
    top_p=st.sampled_from([0.3, 0.9, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.1, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
JOBS = st.lists(st.tuples(PROMPTS, SAMPLES), min_size=1, max_size=7)


def run(engine: Engine, jobs, join_later: int = 0) -> list[list[int]]:
    """Run the jobs; so many of them come when the others are under way."""
    first = len(jobs) - min(join_later, len(jobs) - 1)
    requests = [engine.submit(*job) for job in jobs[:first]]
    engine.step()
    requests += [engine.submit(*job) for job in jobs[first:]]
    while engine.busy:
        engine.step()
    assert all(request.done in ("end", "length") for request in requests)
    return [request.ids for request in requests]


@settings(max_examples=8, deadline=None)
@given(JOBS, st.integers(0, 4))
def test_batched_and_cached_equals_the_whole_text_each_time(params, layout, jobs, join_later):
    engine = Engine(EngineConfig(slots=4, burst=3), MODEL, params, (END,), Execution(layout=layout))
    assert run(engine, jobs, join_later) == [continued(params, *job) for job in jobs]


@pytest.mark.slow
def test_any_of_several_end_ids_ends_a_text(params, layout):
    jobs = [(prompt, replace(sample, max_tokens=30)) for prompt, sample in random_jobs(3, 8)]
    often = Counter(id for job in jobs for id in continued(params, *job, end_ids=()))
    end_ids = (END, *(id for id, _ in often.most_common(2)))
    engine = Engine(EngineConfig(slots=4, burst=3), MODEL, params, end_ids, Execution(layout=layout))
    made = [continued(params, *job, end_ids=end_ids) for job in jobs]
    assert run(engine, jobs) == made
    assert min(map(len, made)) < 30


def random_jobs(seed: int, count: int) -> list:
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))]
    return [
        (
            rng.integers(3, MODEL.vocab, rng.integers(1, 61)).tolist(),
            SampleConfig(
                max_tokens=int(rng.integers(1, 31)),
                temperature=pick(0.0, 0.9),
                top_k=pick(0, 7),
                top_p=pick(0.8, 1.0),
                repetition_penalty=pick(1.0, 1.1),
                seed=int(rng.integers(2**32)),
            ),
        )
        for _ in range(count)
    ]


MESHES = [pytest.param(MeshConfig(fsdp=8), marks=pytest.mark.slow), MeshConfig(data=2, fsdp=2, tensor=2)]


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_sharded_over_a_mesh(params, mesh):
    layout = Layout(make_mesh(mesh), AxisRules())
    engine = Engine(EngineConfig(slots=6, burst=4), MODEL, params, (END,), Execution(layout=layout))
    assert engine.slots == 8
    jobs = random_jobs(0, 10)
    assert run(engine, jobs) == [continued(params, *job) for job in jobs]
    with compilations() as compiled:
        run(engine, jobs)
    assert compiled == []  # what one program leaves, the next one takes as it lies


@pytest.mark.parametrize(
    "changes",
    [
        {
            "positions": PositionConfig(kind="alibi"),
            "attention": AttentionConfig(kv_heads=2, pattern=("local", "full"), window=8),
        },
        {
            "positions": PositionConfig(kind="learned"),
            "attention": AttentionConfig(pattern=("fixed",), window=8, summary=2),
        },
    ],
    ids=["alibi, grouped, local and full", "learned, fixed"],
)
def test_variants_of_the_decoder(changes, layout):
    model = replace(MODEL, **changes)
    params = jax.tree.map(lambda x: x * 6, init_params(model, jax.random.key(1)))
    engine = Engine(EngineConfig(slots=4, burst=4), model, params, (END,), Execution(layout=layout))
    jobs = random_jobs(1, 6)
    assert run(engine, jobs) == [continued(params, *job, model) for job in jobs]


class compilations:
    """Collects what XLA compiles, anywhere, while the block runs."""

    EVENT = "/jax/core/compile/backend_compile_duration"

    def __enter__(self) -> list:
        self.found = []
        self.listen = lambda name, seconds, **more: self.found.append(more) if name == self.EVENT else None
        jax.monitoring.register_event_duration_secs_listener(self.listen)
        return self.found

    def __exit__(self, *_) -> None:
        jax.monitoring.unregister_event_duration_listener(self.listen)


@pytest.mark.parametrize("count", [24, pytest.param(1000, marks=pytest.mark.slow)])
def test_mixed_requests_compile_nothing(count, params, layout):
    # A burst of its own, so that no other test has compiled the programs.
    engine = Engine(EngineConfig(slots=4, burst=5), MODEL, params, (END,), Execution(layout=layout))
    with compilations() as compiled:
        warm_up = engine.warm_up()
    assert len(compiled) == warm_up.compiled == warm_up.programs > 10
    jobs = random_jobs(2, count)
    with compilations() as compiled:
        made = run(engine, jobs, join_later=count // 2)
    assert compiled == []
    for number in range(0, count, 97):
        assert made[number] == continued(params, *jobs[number])


def test_the_cache_is_as_long_as_it_must_be(engine):
    lengths = []
    for prompt, tokens in (([5] * 3, 4), ([5] * 40, 10), ([5] * 60, 36), ([5], 2)):
        request = engine.submit(prompt, SampleConfig(max_tokens=tokens))
        while engine.busy:
            engine.step()
        assert 0 < len(request.ids) + (request.done == "end") <= tokens
        lengths.append(engine._state.cache[0]["key"].shape[2])
    assert lengths == [32, 64, 96, 32]  # 96: the context is the last bucket


def test_a_cancelled_request_frees_its_slot(engine, params):
    jobs = random_jobs(3, 6)
    requests = [engine.submit(*job) for job in jobs]
    engine.step()
    running = next(request for request in requests if request.ids and not request.done)
    engine.cancel(running)
    engine.cancel(requests[-1])
    kept = list(running.ids)
    while engine.busy:
        assert running not in engine.step()
    assert (running.done, running.ids) == ("cancelled", kept)
    for request, job in zip(requests, jobs):
        if request.done != "cancelled":
            assert request.ids == continued(params, *job)


def test_what_does_not_fit(engine):
    with pytest.raises(UserError, match=r"max_tokens = 90: expected at most 86 after this prompt of 10 tokens"):
        engine.submit([5] * 10, SampleConfig(max_tokens=90))
    with pytest.raises(UserError, match="the prompt has 96 tokens; shorten it: the model's context is 96 tokens"):
        engine.submit([5] * 96, SampleConfig(max_tokens=1))
    with pytest.raises(UserError, match="one token or more"):
        engine.submit([], SampleConfig())
    assert not engine.busy
