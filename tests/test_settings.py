"""Every setting does something: a change of it is seen in a program, a file, an answer or an error."""

import json
import os
from dataclasses import dataclass, field, fields

import jax
import pytest

from baichuan_jax.config.literal import parts, values
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.settings import setting
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import config_class
from baichuan_jax.train.config import TrainConfig
from tests.settings.base import config_of
from tests.settings.table import TABLE, Row
from tests.settings.training import initial, prepare


class Seen:
    """What observers see of configs, each observed once."""

    def __init__(self, folder, root=None):
        self._folder, self._root, self._found = folder, root, {}

    def __call__(self, observer, overrides: dict) -> object:
        """Return what an observer sees of a config, or the error with which it is refused."""
        key = observer, json.dumps(overrides, sort_keys=True)
        if key not in self._found:
            self._found[key] = self.anew(observer, overrides)
        return self._found[key]

    def anew(self, observer, overrides: dict) -> object:
        scratch = self._folder / f"{len(list(self._folder.iterdir()))}"
        scratch.mkdir()
        try:
            return observer(config_of(overrides, self._root), scratch)
        except UserError as error:
            return error


def missing(root, table) -> list[str]:
    """Return the settings that the table has no row for."""
    settings = [f"{type(part).__name__}.{name}" for part in parts(root()) for name in values(part)]
    return [name for name in settings if name not in table]


def unseen(name: str, row: Row, seen: Seen) -> str:
    """Return what is wrong with a row, "" if the change of its setting is seen."""
    before = seen(row.observer, row.base)
    after = seen(row.observer, row.base | {name: row.changed})
    if isinstance(before, UserError):
        return f"{name}: its base is refused: {before}"
    if row.error or isinstance(after, UserError):
        return "" if isinstance(after, UserError) and row.error and row.error in str(after) else f"{name}: {after}"
    return "" if before != after else f"{name} is dead: {row.observer.__name__} sees no change"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    directory, before = tmp_path_factory.mktemp("settings"), os.getcwd()
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    os.chdir(directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    prepare()
    yield Seen(tmp_path_factory.mktemp("seen"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    os.chdir(before)


@pytest.mark.parametrize("name", TABLE)
def test_a_change_of_a_setting_is_seen(name, seen):
    assert unseen(name, TABLE[name], seen) == ""


OBSERVERS = dict.fromkeys(row.observer for row in TABLE.values())  # not a set: every worker has to collect one order


@pytest.mark.parametrize("observer", OBSERVERS, ids=lambda observer: observer.__name__)
def test_equal_configs_look_equal(observer, seen):
    base = next(row.base for row in TABLE.values() if row.observer is observer)
    assert seen(observer, base) == seen.anew(observer, base)


def test_every_setting_has_a_row():
    assert missing(config_class(), TABLE) == [], "say in tests/settings/table.py what a change of it can be seen in"
    assert [name for name in TABLE if not is_setting(*name.split("."))] == []


def is_setting(section: str, name: str) -> bool:
    return any(type(part).__name__ == section and name in values(part) for part in parts(config_class()()))


def test_no_section_has_more_than_15_fields():
    assert {type(part).__name__ for part in parts(config_class()()) if len(fields(part)) > 15} == {"RunConfig"}


@dataclass(frozen=True)
class Sized(TrainConfig):
    size: int = setting(1, "what nothing reads")


Sized.__name__ = "TrainConfig"


@dataclass(frozen=True)
class SizedRun(RunConfig):
    train: Sized = field(default_factory=Sized)


SizedRun.__name__ = "RunConfig"


def test_a_dead_setting_fails(seen, tmp_path):
    """It has no row, or one whose change is not seen."""
    assert missing(SizedRun, TABLE) == ["TrainConfig.size"]
    row = Row({}, 2, initial)
    with_size = Seen(tmp_path, SizedRun)
    assert unseen("TrainConfig.size", row, with_size) == "TrainConfig.size is dead: initial sees no change"
    assert unseen("TrainConfig.seed", row, with_size) == ""
