"""The plan of a sweep: its points as configs, the stages they share, and the record that a directory is held to."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from baichuan_jax.config.literal import gin_text, literal, parts, settings
from baichuan_jax.config.load import load
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json, write_json, write_text
from baichuan_jax.lab.sweep import Point
from baichuan_jax.recipe.load import at_home
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.sweep.config import SweepConfig, sweep_class
from baichuan_jax.recipe.sweep.figures import stage_of
from baichuan_jax.recipe.sweep.over import points_of
from baichuan_jax.recipe.sweep.shared import SharedRun, shared_runs, stage_keys, stages_up_to
from baichuan_jax.recipe.table import STAGES
from baichuan_jax.recipe.workdir import CONFIG

RECORD, SWEEP = "sweep.json", "sweep.gin"
# Settings that may change from call to call: they say where and how points are made, not what they are.
FREE = ("SweepConfig.directory", "SweepConfig.keep", "SweepConfig.cores", "SweepConfig.memory")
FREE_SECTIONS = ("RunConfig", "RunnerConfig", "CompilationCacheConfig", "ProfileConfig", "WandbConfig")
EXTENDED = ("SweepConfig.over", "SweepConfig.zip", "SweepConfig.random")


@dataclass(frozen=True)
class PlannedPoint:
    """A point by its number. settings: as they were varied. lines: how its config differs from that of the sweep.

    keys: of its stages, as `shared.stage_keys` has them.
    """

    number: int
    settings: Point
    lines: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return f"{self.number:04}"


@dataclass(frozen=True)
class Plan:
    """A sweep in its directory. config, cfg: of the run that is varied, and of the sweep."""

    directory: Path
    config: RunConfig
    cfg: SweepConfig
    points: tuple[PlannedPoint, ...]

    def config_of(self, point: PlannedPoint) -> RunConfig:
        """Return the config of a point, in its workdir, on the base of the stages it shares."""
        shared = self._shared[point.number]
        base = str(self.runs / shared[-1].name) if shared else self.config.base
        return replace(self._load(point), workdir=str(self.runs / point.name), base=base)

    def shared_of(self, point: PlannedPoint) -> list[tuple[str, RunConfig]]:
        """Return the runs that a point takes stages from, each on the base of the one before: (last stage, config)."""
        found, base = [], self.config.base
        for run in self._shared[point.number]:
            workdir = str(self.runs / run.name)
            config = self._load(self.points[run.points[0]])
            found.append((run.stage, replace(config, workdir=workdir, base=base)))
            base = workdir
        return found

    @property
    def runs(self) -> Path:
        """Return the directory of the workdirs, side by side so that they find each other wherever they are moved."""
        return self.directory / "points"

    @property
    def last_stage(self) -> str:
        """Return the stage that points are built up to."""
        return stage_of(self.cfg.metric)

    @cached_property
    def shared(self) -> tuple[SharedRun, ...]:
        """Return the runs that make the stages that several points share."""
        return tuple(dict.fromkeys(run for runs in self._shared for run in runs))

    @cached_property
    def _shared(self) -> list[list[SharedRun]]:
        return shared_runs([point.keys for point in self.points], stages_up_to(self.last_stage, self.config))

    def _load(self, point: PlannedPoint) -> RunConfig:
        config = load(None, [*self._lines, *point.lines], type(self.config)).config
        return replace(config, runner=replace(config.runner, kind="local", workers=self.cfg.point_cores))

    @cached_property
    def _lines(self) -> list[str]:
        return [line for line in gin_text(self.config).splitlines() if line]

    def write(self) -> None:
        """Write what the sweep is made from into its directory."""
        (self.directory / "states").mkdir(exist_ok=True)
        write_text(self.directory / CONFIG, gin_text(self.config))
        own = "".join(f"{line}\n" for line in settings(self.cfg))
        write_text(self.directory / SWEEP, f"include '{CONFIG}'\n{own}")
        points = [{**asdict(point), "settings": _texts(point)} for point in self.points]
        write_json(self.directory / RECORD, {"settings": _held(self.config, self.cfg), "points": points})


def make_plan(path: Path | str, overrides: Sequence[str], extend: bool = False) -> Plan:
    """Return the plan of a sweep, after whatever its directory holds of it.

    path: a config of a run, which may hold settings of `SweepConfig` beside. Raise UserError on a bad setting of any
    point, or where the directory holds another sweep; with `extend` that may have other points, which stay.
    """
    loaded = load(path, overrides, sweep_class())
    config, cfg = at_home(path, loaded.config.run, loaded.origins), loaded.config.sweep
    directory = Path(cfg.directory or f"{config.workdir}-sweep")
    if (Path(path).parent / RECORD).is_file() and loaded.origins["SweepConfig.directory"] != "--set":
        directory = Path(path).parent  # of a sweep that has been moved
    cfg = replace(cfg, directory=str(directory))
    if not config.base and (Path(config.workdir) / CONFIG).is_file():
        config = replace(config, base=config.workdir)
    last = stage_of(cfg.metric)
    before = _before(directory, config, cfg, extend)
    for name in () if before else stages_up_to(last, config):
        STAGES[name].files(config)  # raises UserError on a source that is not there
    points = [*before]
    known = [point.settings for point in before]
    for settings_ in points_of(cfg):
        if settings_ not in known:
            points.append(_planned(len(points), settings_, path, overrides, config, last))
    return Plan(directory, config, cfg, tuple(points))


def read_plan(directory: Path) -> Plan:
    """Return the plan that a directory holds, wherever it has been moved to."""
    if not (directory / RECORD).is_file():
        raise UserError(f"there is no sweep in {str(directory)!r}: {RECORD} is missing")
    loaded = load(directory / SWEEP, (), sweep_class()).config
    return Plan(directory, loaded.run, loaded.sweep, _points(read_json(directory / RECORD)))


def _planned(
    number: int, point: Point, path: Path | str, overrides: Sequence[str], config: RunConfig, last: str
) -> PlannedPoint:
    given = [f"{name}={literal(value)}" for name, value in point.items()]
    try:
        own = load(path, [*overrides, *given], sweep_class()).config.run
    except UserError as error:
        raise UserError(f"point {number} ({', '.join(given)}): {error}") from None
    lines = [line for part, same in zip(parts(own), parts(config)) for line in _other_lines(part, same)]
    return PlannedPoint(number, point, tuple(lines), stage_keys(own, last))


def _other_lines(part: Any, base: Any) -> list[str]:
    free = ("RunConfig.workdir = ", "RunConfig.base = ")
    return [line for line in settings(part) if line not in settings(base) and not line.startswith(free)]


def _texts(point: PlannedPoint) -> dict[str, str]:
    return {name: literal(value) for name, value in point.settings.items()}


def _points(record: dict) -> tuple[PlannedPoint, ...]:
    found = []
    for each in record["points"]:
        values = {name: literal_eval(text) for name, text in each["settings"].items()}
        found.append(PlannedPoint(each["number"], values, tuple(each["lines"]), tuple(each["keys"])))
    return tuple(found)


def _before(directory: Path, config: RunConfig, cfg: SweepConfig, extend: bool) -> tuple[PlannedPoint, ...]:
    """Return the points that a directory holds. Raise UserError if they are of another sweep."""
    path = directory / RECORD
    if not path.exists():
        if directory.is_dir() and any(directory.iterdir()):
            raise UserError(
                f"{directory} holds files that no sweep has made; choose another one: --set SweepConfig.directory=..."
            )
        if extend:
            raise UserError(f"--extend: there is no sweep in {directory} to add points to; leave the option out")
        return ()
    record = read_json(path)
    before, now = _by_name(record["settings"]), _by_name(_held(config, cfg))
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = [
        f"{name} was {before.get(name)}, is now {now.get(name)}"
        for name in changed
        if not (extend and name in EXTENDED)
    ]
    if told:
        only_points = "; --extend adds the new points" if set(changed) <= set(EXTENDED) else ""
        raise UserError(
            f"{directory} holds another sweep: {'; '.join(told[:5])}. Restore the old value, or choose another "
            f"directory: --set SweepConfig.directory=...{only_points}"
        )
    return _points(record)


def _held(config: RunConfig, cfg: SweepConfig) -> list[str]:
    """Return the settings that a directory is held to."""
    held = [part for part in parts(config) if type(part).__name__ not in FREE_SECTIONS]
    lines = [line for part in [*held, cfg] for line in settings(part)]
    return [line for line in lines if line.partition(" = ")[0] not in FREE]


def _by_name(lines: Sequence[str]) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in lines)
