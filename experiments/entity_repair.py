"""Names in Chinese sentences, written wrong by characters that sound or look alike: can a tuned model read them right?

Command: baichuan-jax experiment entity_repair   Cost: the quickstart's run, if it is not there, and then about forty
minutes on two idle cores, by the speed of that run.

Instruction and sentence in, JSON list of the names out, as they should be. Each name, carrier sentence and pair of
confusable characters is either trained with or tested with. The base is asked before it is tuned. What needs no tuning
is told where the names stand, so half of the task is done for it: a copy, and the most probable form of each name under
the base, among all that differ in one confusable character. Names that are written right are to be left alone.
`--set EntityTask.sentences=FILE` takes sentences in CLUENER's layout, `--set EntityModels.base=WORKDIR` another base,
such as an imported one of 7 billion parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import jax

from baichuan_jax.core.files import digest
from baichuan_jax.core.settings import setting
from baichuan_jax.lab.experiment import Outcome, Table
from baichuan_jax.lab.plots import COLORS, Plot, bar_height, bars
from baichuan_jax.lab.sweep import Point, Progress, run_units
from baichuan_jax.recipe.run import Run
from experiments import entity_tables as tables
from experiments.entity_baselines import copied, rescored
from experiments.entity_models import EntityModels, ask, base_identity, base_text, open_base, remove_checkpoints, tune
from experiments.entity_tables import Answers, Compared
from experiments.entity_task import EntityTask, Task, make_task

UNTUNED, COPY, RESCORED = "untuned base", "copy", "base, rescored"
DEBUG = (
    "EntityTask.longest=14",
    "EntityTask.tested=0.05",
    "EntityTask.per_name=1",
    "EntityModels.base_settings=('VOCAB=3000', 'DecoderConfig.layers=1', 'DecoderConfig.hidden=32', "
    "'DecoderConfig.heads=2', 'DecoderConfig.head_dim=16', 'DecoderConfig.inner=48', 'DataConfig.max_bytes=150000', "
    "'SelectConfig.validation_fraction=0.1', 'TrainConfig.steps=2', 'TrainConfig.batch=4', "
    "'OptimConfig.warmup_steps=1')",
    "EntityModels.max_tokens=4",
    "EntityModels.methods={'LoRA': (2, 1e-3), 'full tuning': (0, 1e-3)}",
    "EntityModels.seeds=(0,)",
    "EntityModels.steps=2",
    "EntityModels.batch=2",
    "EntityModels.tune_settings=('TuneConfig.warmup_steps=1',)",
)


@dataclass(frozen=True)
class EntityRepair:
    """The task and the models."""

    workdir: str = setting("runs/experiments/entity_repair", "directory of units, tables, plots and report")
    failures: int = setting(12, "wrong answers that are shown")
    task: EntityTask = field(default_factory=EntityTask)
    models: EntityModels = field(default_factory=EntityModels)


def run(cfg: EntityRepair, directory: Path, progress: Progress) -> Outcome:
    """Ask the untuned base and what needs no tuning, then every tuned model; compare them."""
    progress("sentences", 0, 1)
    task = make_task(cfg.task)
    base = open_base(cfg.models, directory)
    cases = [*task.test, *task.example]
    common: Point = {"cases": digest(repr(cases)), "base": base_identity(base)}
    systems = {
        UNTUNED: (cfg.models.prompt, lambda: ask(base, cases, cfg.models)),
        COPY: ({}, lambda: copied(cases)),
        RESCORED: ({}, lambda: rescored(cases, base, task.confusions, progress)),
    }
    found: dict[str, Answers] = {}
    for name, (prompt, answer) in systems.items():
        build = lambda _, __, answer=answer: {"answers": answer()}
        (unit,) = run_units(directory / "units", [{"system": name} | common | prompt], build, progress, kind="ask")
        found[name] = [unit["answers"]]

    def build_tuned(point: Point, folder: Path) -> dict:
        tuned = tune(base, task.train, cfg.models, point, folder)
        answers = ask(tuned, cases, cfg.models)
        remove_checkpoints(tuned)
        return {"answers": answers}

    more = common | cfg.models.prompt | {"trained on": digest(repr(task.train))}
    sweep = [point | more for point in cfg.models.sweep]
    units = run_units(directory / "units", sweep, build_tuned, progress, kind="tune")
    for method in cfg.models.methods:
        found[method] = [unit["answers"] for point, unit in zip(sweep, units) if point["method"] == method]
    return _outcome(cfg, task, base, found)


def _outcome(cfg: EntityRepair, task: Task, base: Run, found: Mapping[str, Answers]) -> Outcome:
    """Return the tables, the untuned base first."""
    count = len(task.test)
    asked = Compared(task.test, {name: [seed[:count] for seed in seeds] for name, seeds in found.items()})
    shown = {name: [seed[count:] for seed in seeds] for name, seeds in found.items()}
    text = base_text(base)
    times = {name: text.count(name) for case in task.test for name in case.right} if text else {}
    made = [
        tables.results("before", "Before tuning", asked, [UNTUNED]),
        tables.results("results", "Names repaired, and names left alone", asked, list(found)),
        tables.differences(asked, list(cfg.models.methods), [COPY, RESCORED]),
        tables.example(task.example, shown),
        tables.groups(asked, times),
        tables.failures(asked, list(found), cfg.failures),
        _split_table(task, base, text),
    ]
    return Outcome(_summary(asked), made, [_plot(asked)])


def _summary(asked: Compared) -> str:
    repaired = {name: float(scores.exact.mean()) for name, scores in asked.wrong.items()}
    best = max(repaired, key=lambda name: repaired[name])
    altered = float(asked.right[best].altered.mean())
    return f"Most repaired: {best}, {repaired[best]:.1%}; over-corrected by it: {altered:.1%}."


def _plot(asked: Compared) -> Plot:
    of = {"repaired": asked.wrong, "left alone": asked.right}
    series = {label: [100 * float(each.exact.mean()) for each in scores.values()] for label, scores in of.items()}
    said = "; ".join(f"{name} {a:.1f} and {b:.1f} %" for name, a, b in zip(asked.systems, *series.values()))
    paint = partial(bars, names=list(asked.systems), series=series, colors=COLORS, unit="% of sentences")
    alt = f"Sentences whose corrupted names were repaired, and whose right names were left alone: {said}."
    return Plot("entity_repair", "Names repaired, and left alone", alt, paint, bar_height(len(asked.systems), 2))


def _split_table(task: Task, base: Run, text: str) -> Table:
    trained = base.result("train") if base.config.train.steps else None
    carriers = sum(case.text in text for case in task.test if not case.corruption)
    about = {
        "base": str(base.workdir),
        "parameters of the base": sum(each.size for each in jax.tree.leaves(base.params)),
        "tokens that the base was trained on here": trained.tokens if trained else 0,
        **task.counts,
        "sentences to test with that the base's text has, uncorrupted": carriers if text else None,
    }
    note = "Names, carrier sentences and confusion pairs of the test are not trained with."
    return Table("split", "The base and the split", ["", "number"], [list(each) for each in about.items()], note)
