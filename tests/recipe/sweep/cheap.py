"""Stages for sweeps in processes of their own, of which training takes a second and goes on from checkpoints.

`sitecustomize` of the processes calls `install`, so the workers and the processes of points have these stages too.
"""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

STEPS, EVERY = 24, 4
SITE = "from tests.recipe.sweep.cheap import install\ninstall()\n"


def install() -> None:
    """Put the cheap stages in the place of all others."""
    from baichuan_jax.recipe.spec import StageResult
    from baichuan_jax.recipe.stages.evaluate import EvaluateResult
    from baichuan_jax.recipe.stages.train import TrainResult
    from baichuan_jax.recipe.table import STAGES

    def train(run, directory):
        folder = directory / "checkpoints"
        state, step = _newest(folder, f"{run.config.optim.peak_lr} {run.config.train.seed}")
        while step < STEPS:
            time.sleep(float(os.environ["CHEAP_STEP"]))
            state, step = hashlib.sha256(state.encode()).hexdigest(), step + 1
            if step % EVERY == 0:
                _save(folder, step, state)
        _end("train", run)
        loss = int(state[:8], 16) / 2**32
        return TrainResult(
            parameters=1, tokens=2, steps=STEPS, loss=loss, validation={"zh": loss}, mesh={}, device="cpu"
        )

    def evaluate(run, directory):
        bits = run.result("train").loss + 1
        _end("evaluate", run)
        row = {"bits_per_byte": bits, "unigram": 3.0, "zstd": 3.0, "by_position": [], "bytes": 1, "tokens": 1}
        return EvaluateResult(domains={"zh": row})

    own = {"train": (train, TrainResult), "evaluate": (evaluate, EvaluateResult)}
    for name, spec in list(STAGES.items()):
        build, result = own.get(name, (lambda run, directory, name=name: _end(name, run), StageResult))
        check = lambda config: None
        STAGES[name] = replace(spec, build=build, result=result, summary=lambda result: "", check=check)


def _newest(folder: Path, start: str) -> tuple[str, int]:
    step = max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=0)
    return ((folder / str(step) / "state").read_text(), step) if step else (start, 0)


def _save(folder: Path, step: int, state: str) -> None:
    partial = folder / f"{step}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "state").write_text(state)
    partial.rename(folder / str(step))


def _end(stage: str, run) -> None:
    """Note that a stage has come to its end, in a file beside the sweep."""
    with Path(os.environ["CHEAP_ENDS"]).open("a") as file:
        file.write(f"{run.workdir.name} {stage}\n")
