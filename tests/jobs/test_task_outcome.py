"""The loop over tasks, on places that a random source lets end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.jobs.phase import Phase
from baichuan_jax.jobs.task_outcome import ATTEMPTS, Death, Failure, run_all

ENDS = st.sampled_from([None, None, None, Failure(KeyError(), "trace"), Death("was killed", "a log")])


class Places:
    """Tasks end in any order, several at once, with the endings given: one for each start, then well."""

    def __init__(self, size, endings, rng):
        self.size, self.endings, self.rng = size, endings, rng
        self.running, self.started = [], []

    def start(self, phase, number):
        self.started.append(number)
        self.running.append(number)
        assert len(self.running) <= self.size
        assert self.running.count(number) == 1

    def wait(self):
        ended = self.rng.sample(self.running, self.rng.randint(1, len(self.running)))
        self.running = [number for number in self.running if number not in ended]
        return {number: self.endings[number].pop(0) if self.endings[number] else None for number in ended}


def expected(endings):
    """How a task ends at last."""
    for attempt, end in enumerate(endings, 1):
        if not isinstance(end, Death):
            return end
        if attempt == ATTEMPTS:
            return end
    return None


@given(st.lists(st.lists(ENDS, max_size=4), min_size=1, max_size=8), st.integers(1, 4), st.randoms())
def test_all_tasks_complete_or_the_first_that_cannot_is_reported(tmp_path_factory, endings, size, rng):
    last = [expected(of) for of in endings]
    places, done = Places(size, [list(of) for of in endings], rng), []
    phase = Phase("letters", print, len(endings), tmp_path_factory.getbasetemp())
    bad = [number for number, end in enumerate(last) if end is not None]
    if bad:
        with pytest.raises(UserError if isinstance(last[bad[0]], Death) else KeyError) as raised:
            run_all(places, phase, range(len(endings)), done.append)
        assert f"task {bad[0]} of phase 'letters'" in str(raised.value.__cause__)
    else:
        run_all(places, phase, range(len(endings)), done.append)
        assert sum(done) == len(endings)
    for number in range(bad[0] if bad else len(endings)):
        deaths = next(
            (at for at, end in enumerate(endings[number]) if not isinstance(end, Death)), len(endings[number])
        )
        assert places.started.count(number) == deaths + 1
