import numpy as np
import pytest

from baichuan_jax.core.memory import OutOfMemory, within_memory


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 86067 bytes."),
            "Out of memory allocating 86067 bytes",
        ),
        (
            RuntimeError(
                "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20G of 15G hbm.\n\nTotal: 20G"
            ),
            "Ran out of memory in memory space hbm. Used 20G of 15G hbm",
        ),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_xla_asked_for_is_said_in_a_line(error, asked):
    with pytest.raises(OutOfMemory) as found, within_memory("a batch of 8", "lower it"):
        raise error
    assert str(found.value) == f"out of memory: a batch of 8: {asked}; lower it"


def test_what_numpy_asked_for_is_said():
    with (
        pytest.raises(OutOfMemory, match=r"Unable to allocate 8\.00 EiB .*; lower it"),
        within_memory("all", "lower it"),
    ):
        np.ones(2**60 - 1)


@pytest.mark.parametrize("error", [RuntimeError("INTERNAL: RESOURCE_EXHAUSTED"), KeyError("RESOURCE_EXHAUSTED: x")])
def test_another_error_stays_what_it_is(error):
    with pytest.raises(type(error)), within_memory("all", "lower it"):
        raise error
