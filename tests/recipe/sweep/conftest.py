"""Sweeps whose stages make nothing but figures, in this process."""

from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_jax.core.files import write_json
from baichuan_jax.recipe.load import as_lines
from baichuan_jax.recipe.progress import PrintProgress
from baichuan_jax.recipe.spec import StageResult
from baichuan_jax.recipe.stages.evaluate import EvaluateResult
from baichuan_jax.recipe.stages.train import TrainResult
from baichuan_jax.recipe.sweep import child, page, task
from baichuan_jax.recipe.sweep.plan import make_plan, read_plan
from baichuan_jax.recipe.sweep.runner import run_sweep
from baichuan_jax.recipe.table import STAGES
from tests.cli.small import write_config

ROW = {"unigram": 3.0, "zstd": 3.0, "by_position": [], "bytes": 10, "tokens": 5}


class World:
    """What stages have made, and which trainings fail. made: (workdir's name, stage). trained: ends of trainings."""

    def __init__(self):
        self.made, self.fails = [], {}

    @property
    def trained(self) -> list[str]:
        return [workdir for workdir, stage in self.made if stage == "train"]

    def bits(self, config) -> float:
        return 2.0 + abs(config.optim.peak_lr - 2e-3) * 100 + 0.01 * config.train.seed

    def build(self, name, run, directory):
        number = int(run.workdir.name) if run.workdir.name.isdigit() else -1
        if name == "train":
            (directory / "checkpoints" / "4").mkdir(parents=True, exist_ok=True)
            if failure := self.fails.get(number):
                failure()
        self.made.append((run.workdir.name, name))
        if name == "tokenizer":
            (directory / "tokenizer.model").write_text(f"{run.config.tokenizer}")
        if name == "evaluate":
            bits, sizes = self.bits(run.config), [10, 20, 30]
            wave = [0.3, -0.2, 0.1]
            windows = {"bits": [size * (bits + part) for size, part in zip(sizes, wave)], "bytes": sizes}
            write_json(directory / "windows.json", {"zh": windows})
            return EvaluateResult(domains={"zh": {**ROW, "bits_per_byte": bits}})
        if name == "train":
            return TrainResult(parameters=1, tokens=2, steps=1, validation={"zh": 4.0}, mesh={}, device="cpu", loss=1.0)
        return StageResult()


@pytest.fixture
def world(monkeypatch):
    world = World()
    for name, spec in list(STAGES.items()):
        result = spec.result if name in ("train", "evaluate") else StageResult
        build = lambda run, directory, name=name: world.build(name, run, directory)
        fake = replace(spec, build=build, result=result, summary=lambda result: "", check=lambda config: None)
        monkeypatch.setitem(STAGES, name, fake)

    def run_here(number, directory, cores, log):
        plan = read_plan(Path(directory))
        return 0 if child.run_point(plan, plan.points[number]) else child.FAILED

    monkeypatch.setattr(task, "_run", run_here)
    return world


@pytest.fixture
def sweep(world, tmp_path, monkeypatch):
    """Return sweep(over, settings, extend, pages), which runs a sweep in `tmp_path`; it has an attribute `notes`.

    pages: whether the page is drawn, which takes longer than all else.
    """
    config, write_page = write_config(tmp_path), page.write_page

    def run(over, settings=(), extend=False, pages=False):
        monkeypatch.setattr(page, "write_page", write_page if pages else lambda plan, rows: plan.directory)
        run.notes = []
        given = [f"SweepConfig.over={tuple(over)!r}", "SweepConfig.cores=1", *as_lines(settings)]
        plan = make_plan(config, given, extend)
        return plan, run_sweep(plan, PrintProgress(write=run.notes.append))

    return run
