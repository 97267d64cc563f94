"""The loop over tasks, on places that a random source lets end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import ATTEMPTS, Death, Failure, run_all

ENDS = st.sampled_from([None, None, None, Failure(KeyError(), "trace"), Death("was killed", "a log")])


class Places:
    """Tasks end in any order, several at once, with the ends given: one for each start, then well."""

    def __init__(self, size, ends, rng):
        self.size, self.ends, self.rng = size, ends, rng
        self.running, self.started = [], []

    def start(self, phase, number):
        self.started.append(number)
        self.running.append(number)
        assert len(self.running) <= self.size
        assert self.running.count(number) == 1

    def wait(self):
        ended = self.rng.sample(self.running, self.rng.randint(1, len(self.running)))
        self.running = [number for number in self.running if number not in ended]
        return {number: self.ends[number].pop(0) if self.ends[number] else None for number in ended}


def expected(ends):
    """How a task ends at last."""
    for attempt, end in enumerate(ends, 1):
        if not isinstance(end, Death):
            return end
        if attempt == ATTEMPTS:
            return end
    return None


@given(st.lists(st.lists(ENDS, max_size=4), min_size=1, max_size=8), st.integers(1, 4), st.randoms())
def test_all_tasks_complete_or_the_first_that_cannot_is_reported(tmp_path_factory, ends, size, rng):
    last = [expected(of) for of in ends]
    places, done = Places(size, [list(of) for of in ends], rng), []
    phase = Phase("letters", print, len(ends), tmp_path_factory.getbasetemp())
    bad = [number for number, end in enumerate(last) if end is not None]
    if bad:
        with pytest.raises(UserError if isinstance(last[bad[0]], Death) else KeyError) as raised:
            run_all(places, phase, range(len(ends)), done.append)
        assert f"task {bad[0]} of phase 'letters'" in str(raised.value.__cause__)
    else:
        run_all(places, phase, range(len(ends)), done.append)
        assert sum(done) == len(ends)
    for number in range(bad[0] if bad else len(ends)):
        deaths = next((at for at, end in enumerate(ends[number]) if not isinstance(end, Death)), len(ends[number]))
        assert places.started.count(number) == deaths + 1
