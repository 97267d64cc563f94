"""Run a file of experiments/ by its name, its settings checked as those of a run are."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from baichuan_jax.config.load import load
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_text
from baichuan_jax.core.lock import exclusive
from baichuan_jax.core.shipped import SHIPPED
from baichuan_jax.lab.experiment import RECORD, Outcome, check_name, class_name, find_experiments, write_record
from baichuan_jax.lab.predictions import judge_predictions, read_predictions
from baichuan_jax.recipe.load import Overrides, as_lines
from baichuan_jax.recipe.progress import Progress

FOLDER = SHIPPED / "experiments"
PREDICTIONS = "predictions"


class Finished(NamedTuple):
    """An experiment that has ended. page: where its report is."""

    outcome: Outcome
    page: Path


def experiments() -> dict[str, str]:
    """Return {name: what it shows} of all experiments."""
    return find_experiments(FOLDER)


def settings_of(name: str) -> type[Any]:
    """Return the dataclass of an experiment's settings. Raise UserError if there is no such experiment."""
    return getattr(_module(name), class_name(name))


def run_experiment(
    name: str, config: Path | str | None = None, overrides: Overrides = (), progress: Progress | None = None
) -> Finished:
    """Run an experiment. Units of work that are on file are not done again.

    config: a gin file that binds its settings. overrides: as `load_config` has them. What predictions/NAME.toml beside
    the experiment predicts is compared with the outcome. Raise UserError if there is no such experiment, or on a bad
    setting or prediction.
    """
    module = _module(name)
    predicted_in = FOLDER / PREDICTIONS / f"{name}.toml"
    predictions = read_predictions(predicted_in)
    settings = class_name(name)
    loaded = load(config, as_lines(overrides), getattr(module, settings))
    directory = Path(loaded.config.workdir)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{settings}.workdir = {str(directory)!r}: no directory ({error.strerror})") from error
    with exclusive(directory / ".lock"):
        (directory / RECORD).unlink(missing_ok=True)  # of an earlier call: what follows may overwrite what it tells of
        write_text(directory / "config.gin", loaded.text)
        start = time.monotonic()
        with (progress or Progress()).units(name) as tell:
            outcome = module.run(loaded.config, directory, tell)
        if predictions:
            judged = judge_predictions(predictions, outcome.tables, predicted_in, directory / "units")
            outcome = replace(outcome, tables=[*outcome.tables, judged])
        page = write_record(name, loaded.text, outcome, time.monotonic() - start, directory)
    return Finished(outcome, page)


def _module(name: str) -> ModuleType:
    """Import an experiment. Raise UserError if there is none of this name."""
    check_name(name, FOLDER)
    if str(SHIPPED) not in sys.path:
        sys.path.insert(0, str(SHIPPED))
    return import_module(f"experiments.{name}")
