"""Compiled programs on disk: used when they are whole, and never harmful when they are not."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.parallel import program_cache
from baichuan_jax.parallel.program_cache import ProgramCache

ROOM = 10**6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@given(
    st.binary(min_size=1, max_size=200),
    st.integers(0, 10**6),
    st.sampled_from(["flip", "cut", "zero", "garble", "grow", "empty"]),
)
def test_a_damaged_program_is_compiled_anew(folder, program, place, damage):
    cache = ProgramCache(folder, folder, ROOM)
    cache.put("key", program)
    assert cache.get("key") == program
    file = folder / "key"
    whole = file.read_bytes()
    at = place % len(whole)
    damaged = {
        "flip": whole[:at] + bytes([whole[at] ^ 1 << place % 8]) + whole[at + 1 :],
        "cut": whole[:at],
        "zero": bytes(len(whole)),
        "garble": whole[::-1],
        "grow": whole + b"x",
        "empty": b"",
    }[damage]
    file.write_bytes(damaged)
    if damaged != whole:
        assert cache.get("key") is None
        assert not file.exists()
        cache.put("key", program)
    assert cache.get("key") == program


def test_what_was_used_longest_ago_goes_first_also_that_of_other_machines(tmp_path):
    ours, theirs = (ProgramCache(tmp_path / name, tmp_path, 3500) for name in ("ours", "theirs"))
    for cache, key in ((theirs, "a"), (ours, "b"), (ours, "c")):
        cache.put(key, bytes(1000))
        time.sleep(0.01)  # the clock of a file system may be coarse
    assert theirs.get("a")
    time.sleep(0.01)
    ours.put("d", bytes(1000))
    assert [path.name for path in sorted(tmp_path.rglob("?"))] == ["c", "d", "a"]


def test_many_at_once_read_nothing_but_whole_programs(tmp_path):
    programs = {f"key{number}": os.urandom(4000) for number in range(8)}

    def work(_):
        cache = ProgramCache(tmp_path, tmp_path, 20_000)  # half of them fit
        return [cache.put(key, program) or cache.get(key) in (program, None) for key, program in programs.items()]

    with ThreadPoolExecutor(8) as pool:
        assert all(map(all, pool.map(work, range(40))))


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = ProgramCache(tmp_path / "file" / "programs", tmp_path, ROOM)
    cache.put("key", b"program")
    assert cache.get("key") is None


def test_another_processor_has_programs_of_its_own(monkeypatch):
    here = program_cache.machine()
    monkeypatch.setattr(program_cache, "_processor", lambda: "flags: fpu sse2")
    assert program_cache.machine() != here == here.lower()


# Two steps of training by a program as it is compiled, and as it is kept; then a program whose file is damaged.
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import jax, numpy
from baichuan_jax.parallel.config import CompilationCacheConfig
from baichuan_jax.parallel.program_cache import keep_programs
from baichuan_jax.train.config import TrainConfig
from tests.train.small import MODEL, layout, learnable, setup

folder, hits = Path(sys.argv[1]), []
keep_programs(CompilationCacheConfig(directory=str(folder)))
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)

def trained():
    _, state, step = setup(TrainConfig(steps=9, batch=8, length=16), layout(1), replace(MODEL, layers=1))
    for number in range(2):
        state, values = step(state, learnable(8, 16, number))
    return [numpy.asarray(leaf).tobytes() for leaf in jax.tree.leaves((state, values))]

def anew(work):
    jax.clear_caches()
    hits.clear()
    return work(), len(hits) > 0

(cold, *first), (warm, *second) = anew(trained), anew(trained)
product = jax.jit(lambda x: x @ x)
once = lambda: float(product(numpy.float32([[2]]))[0, 0])
found = [anew(once), anew(once)]
[machine] = folder.iterdir()
for file in machine.iterdir():
    file.write_bytes(file.read_bytes()[:-1])
found += [anew(once), anew(once)]
print(cold == warm, first, second, found)
"""


def test_steps_by_a_kept_program_have_the_same_bits_and_damaged_ones_are_not_run(tmp_path):
    said = "True [False] [True] [(4.0, False), (4.0, True), (4.0, False), (4.0, True)]\n"
    ours = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path],
        capture_output=True,
        text=True,
        env={**ours, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.stdout, done.stderr) == (said, "")
