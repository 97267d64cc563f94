"""The table of the arrays that the phases of the data step exchange."""

import re
from pathlib import Path

import numpy as np
import pytest

from baichuan_jax.data import flow
from baichuan_jax.data.flow import phase_arrays
from baichuan_jax.data.flow.phase_arrays import CUTS, NEAR_DUPLICATES, RANK, Array

FLOW = Path(flow.__file__).parent
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in FLOW.glob("*.py") if path.stem != "phase_arrays"}
ARRAYS = {name: value for name, value in vars(phase_arrays).items() if isinstance(value, Array)}


@pytest.mark.parametrize("name", ARRAYS)
def test_the_table_says_who_writes_and_reads_an_array(name):
    array = ARRAYS[name]
    using = {module for module, source in SOURCES.items() if re.search(rf"\b{name}\b", source)}
    assert using == {array.phase, *array.read_by}


def test_each_array_has_a_file_of_its_own():
    assert len({(array.phase, array.name) for array in ARRAYS.values()}) == len(ARRAYS)


def test_phases_save_and_load_arrays_by_the_table_alone():
    direct = {module for module, source in SOURCES.items() if re.search(r"np\.(save|load)\(", source)}
    assert direct == {"shard", "disk_array"}


@pytest.mark.parametrize("array", [RANK, CUTS, NEAR_DUPLICATES])
def test_an_array_comes_back_as_it_was_saved(tmp_path, array):
    values = np.zeros((3, *array.empty().shape[1:]), array.dtype)
    array.save(tmp_path, values)
    assert (array.load(tmp_path) == values).all()
    filled = array.create(tmp_path, 3)
    filled[:] = values
    filled.flush()
    assert array.load(tmp_path).tobytes() == values.tobytes()


@pytest.mark.parametrize("values", [np.zeros(3, np.int32), np.zeros((3, 2), np.int64)])
def test_another_dtype_or_shape_is_refused(tmp_path, values):
    with pytest.raises(TypeError, match=r"array 'rank' of phase 'near_dedup': .* declared as"):
        RANK.save(tmp_path, values)
    np.save(tmp_path / "rank.npy", values)
    with pytest.raises(TypeError, match=r"array 'rank' of phase 'near_dedup': .* declared as"):
        RANK.load(tmp_path)


def test_only_the_funnel_adds_to_a_funnel():
    for module, source in SOURCES.items():
        assert not re.search(r"funnel\.\w+(\.add\(|\[.*\] =| [+|]?= )", source), module
