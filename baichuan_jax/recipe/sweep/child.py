"""The process of one point of a sweep: it builds the stages, writes the point's state, and ends when its parent does.

A process of its own keeps the memory of one point from the next, and lets a point die without its worker.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.machine import peak_process_memory
from baichuan_jax.core.stage import finished_in
from baichuan_jax.recipe.progress import PrintProgress
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.sweep.figures import figures_of
from baichuan_jax.recipe.sweep.plan import Plan, PlannedPoint, read_plan
from baichuan_jax.recipe.sweep.shared import stages_up_to
from baichuan_jax.recipe.sweep.state import States
from baichuan_jax.recipe.table import STAGES

FAILED = 3  # the exit code of a process whose point has failed, and which has said so on file


def main() -> None:
    """Run a point. The arguments are the directory of the sweep, the point's number, and the cores to run on."""
    directory, number, cores = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner, which then ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))
    plan = read_plan(directory)
    done = run_point(plan, plan.points[number])
    sys.stdout.flush()
    os._exit(0 if done else FAILED)  # an orderly end would wait for threads of a training that has failed


def run_point(plan: Plan, point: PlannedPoint) -> bool:
    """Build a point unless it is done; return whether it is. What it fails with is in its state."""
    states = States(plan.directory)
    with exclusive(states.lock(point.name), wait=True):  # a process of an earlier call may still be ending
        before = states.read(point.name)
        if before.state == "done":
            return True
        start = time.monotonic()
        state = replace(
            before, state="running", started=datetime.now(UTC).isoformat(timespec="seconds"), error="", trace=""
        )
        states.write(point.name, state)
        print(f"point {point.number} begins in process {os.getpid()}", flush=True)
        try:
            figures, trained_in = _build(plan, point)
            state = replace(state, state="done", figures=figures, trained_in=trained_in)
        except Exception as error:
            traceback.print_exc()
            told = f"{type(error).__name__}: {error}".replace(str(plan.runs / point.name), "POINT")
            state = replace(state, state="failed", error=told, trace=traceback.format_exc())
        seconds = round(before.seconds + time.monotonic() - start, 2)
        states.write(point.name, replace(state, seconds=seconds, peak_memory_bytes=peak_process_memory()))
        print(f"point {point.number} {state.state}", flush=True)
        return state.state == "done"


def _build(plan: Plan, point: PlannedPoint) -> tuple[dict, str]:
    """Return the figures of a point once its stages are built, and where it was trained, from the sweep's directory."""
    shared = plan.shared_of(point)
    places = [Path(config.workdir) / stage for stage, config in shared]
    made = next((number for number in reversed(range(len(shared))) if finished_in(places[number])), -1)
    for stage, config in shared[made + 1 :]:
        _build_shared(stage, config)
    run = Run(plan.config_of(point), _progress())
    stages = stages_up_to(plan.last_stage, run.config)
    _build_stages(run, plan.last_stage)
    train = run.place("train") if "train" in stages else run.workdir
    return figures_of(run, stages, plan.cfg.metric), os.path.relpath(train, plan.directory)


def _build_shared(stage: str, config: RunConfig) -> None:
    """Build what several points share, or wait until the process of another point has."""
    workdir = Path(config.workdir)
    workdir.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(workdir.with_name(f".{workdir.name}.lock"), wait=True):
        if not finished_in(workdir / stage):
            _build_stages(Run(config, _progress()), stage)


def _build_stages(run: Run, last: str) -> None:
    names = run.pipeline.due(last)
    run.pipeline.check(names)
    with run.pipeline.open(names):
        for name in names:
            result, skipped = run.build_stage(name)
            print(f"{name}: {'done before' if skipped else STAGES[name].summary(result)}", flush=True)


def _progress() -> PrintProgress:
    return PrintProgress(write=lambda text: print(text, flush=True))


def _end_with_parent() -> None:
    """Wait until the parent closes the pipe at standard input, or dies, and end."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
