"""Run a sweep: points on a runner's workers, failed ones once more and alone, and the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import Interrupted
from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.machine import free_memory, has_accelerator, usable_cores
from baichuan_jax.jobs.runner import Runner
from baichuan_jax.lab.points import write_tables
from baichuan_jax.recipe.progress import Progress, Tell
from baichuan_jax.recipe.sweep.plan import Plan
from baichuan_jax.recipe.sweep.results import drop_checkpoints, name_of, newest_checkpoint, rows_of
from baichuan_jax.recipe.sweep.state import PointState, States
from baichuan_jax.recipe.sweep.task import PointTask
from baichuan_jax.recipe.workdir import LOCK

GB = 2**30


@dataclass(frozen=True)
class SweepFiles:
    """What a sweep has written. failed: numbers of the points that have; stopped: why others were not begun, or ""."""

    page: Path
    table: Path
    parquet: Path
    failed: tuple[int, ...]
    stopped: str


def points_at_once(plan: Plan) -> int:
    """Return how many points run at once: on this machine as its cores and memory allow, on a cluster as it is told.

    Where there are accelerators, each point has all of them.
    """
    cfg, runner = plan.cfg, plan.config.runner
    if runner.kind != "local":
        return runner.workers
    if has_accelerator():
        return 1
    by_cores = (cfg.cores or usable_cores()) // cfg.point_cores
    by_memory = (cfg.memory or free_memory() // GB) // runner.usual_memory
    return max(1, min(by_cores, by_memory))


def run_sweep(plan: Plan, progress: Progress) -> SweepFiles:
    """Run the points that are not done, and write the results, also where points have failed.

    Points that failed in an earlier call are tried anew. Raise Interrupted on Ctrl-C: finished points stay, and the
    others go on from their checkpoints.
    """
    try:
        plan.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = f"SweepConfig.directory = {str(plan.directory)!r}"
        raise UserError(f"{where}: no directory ({error.strerror})") from error
    with exclusive(plan.directory / LOCK), mendable_writes("the sweep", plan.directory):
        plan.write()
        states = States(plan.directory)
        for point in plan.points:
            if states.now(point.name) == "failed":
                states.write(point.name, replace(states.read(point.name), state="waiting"))
        try:
            with progress.units("sweep") as tell:
                _run_all(plan, states, progress, tell)
        except KeyboardInterrupt:
            raise Interrupted(_left(plan, states)) from None
        return _write(plan, states)


def _run_all(plan: Plan, states: States, progress: Progress, tell: Tell) -> None:
    names = [point.name for point in plan.points]
    ended = _Ended(plan, states, progress, tell)
    waiting = [point.number for point in plan.points if states.now(point.name) != "done"]
    _run_points(plan, waiting, points_at_once(plan), again=False, ended=ended)
    if not states.repeated_failure(names):
        failed = [number for number in waiting if states.now(names[number]) == "failed"]
        _run_points(plan, failed, 1, again=True, ended=ended)


def _run_points(plan: Plan, numbers: Sequence[int], workers: int, again: bool, ended: Callable[..., None]) -> None:
    if not numbers:
        return
    names = tuple(point.name for point in plan.points)
    cores = 0 if has_accelerator() else plan.cfg.point_cores
    task = PointTask(str(plan.directory), names, cores, again)
    with Runner(replace(plan.config.runner, workers=workers), plan.directory / "jobs") as runner:
        ended(0, 0)
        runner.run("again" if again else "points", task, len(names), ended, only=numbers)


class _Ended:
    """Tells what has become of points as they end, and deletes the checkpoints that nobody will want."""

    def __init__(self, plan: Plan, states: States, progress: Progress, tell: Tell):
        self._plan, self._states, self._progress, self._tell = plan, states, progress, tell
        self._known = self._look()

    def __call__(self, _done: int, _count: int) -> None:
        before, self._known = self._known, self._look()
        for point in self._plan.points:
            state = self._known[point.name]
            if state.state in ("done", "failed") and state != before[point.name]:
                self._progress.note(self._line(point.number, state))
        done = [state for state in self._known.values() if state.state == "done"]
        self._tell("points done", len(done), len(self._plan.points))
        drop_checkpoints(self._plan)

    def _look(self) -> dict[str, PointState]:
        return {point.name: self._states.read(point.name) for point in self._plan.points}

    def _line(self, number: int, state: PointState) -> str:
        name, metric = name_of(self._plan, self._plan.points[number]), self._plan.cfg.metric
        if state.state == "done":
            return f"✓ {name}: {metric} {state.figures[metric]:.4f} ({state.seconds:.0f} s)"
        return f"✗ {name}: failed: {state.error.splitlines()[0]}"


def _write(plan: Plan, states: States) -> SweepFiles:
    from baichuan_jax.recipe.sweep.page import write_page  # brings matplotlib in

    drop_checkpoints(plan)
    rows = rows_of(plan)
    table, parquet = write_tables(rows, plan.directory)
    return SweepFiles(
        page=write_page(plan, rows),
        table=table,
        parquet=parquet,
        failed=tuple(row.number for row in rows if row.state == "failed"),
        stopped=states.repeated_failure(point.name for point in plan.points),
    )


def _left(plan: Plan, states: States) -> str:
    """Return what has been left by a stop, in words: what is done, and where the others go on."""
    left = [point for point in plan.points if states.now(point.name) != "done"]
    begun = [
        f"{point.number} from step {newest_checkpoint(plan, point)}"
        for point in left
        if states.read(point.name).started and states.now(point.name) != "failed"
    ]
    on = f"; points that go on: {', '.join(begun)}" if begun else ""
    return f"sweep stopped: {len(plan.points) - len(left)} of {len(plan.points)} points are done{on}"
