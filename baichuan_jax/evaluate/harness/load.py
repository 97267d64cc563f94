"""lm-eval's tasks unchanged, with their data from the hub or from files on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

import datasets
import evaluate as metrics
import lm_eval.tasks
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.evaluate.harness.humaneval import SandboxedCodeEval
from baichuan_jax.evaluate.harness.local import Splits, splits
from baichuan_jax.evaluate.harness.protocols import LETTER, PROTOCOLS, is_protocol, subjects_of

TASKS = Path(lm_eval.tasks.__file__).parent
datasets.disable_progress_bars()


# Folders of lm-eval's tasks that are looked into first: its index of all takes ten seconds to make.
COMMON = ("agieval", "ceval", "cmmlu", "gsm8k", "hendrycks_math", "humaneval", "minerva_math", "mmlu")
FEWSHOT_SEED = 1234  # lm-eval's own


def load_tasks(name: str, data_dir: Path | None, fewshot: int | None = None) -> dict:
    """Returns what lm-eval's `evaluate` takes for a task, a group or a tag: tasks and groups.

    data_dir: where the data is; None is the hub. fewshot: examples before a question, where a task does not insist on
    none; None leaves it to the task. Raises UserError on an unknown name, or if there is no such data, or too few
    examples.
    """
    loaded = _protocol(name, data_dir) if is_protocol(name) else _stock(name, data_dir)
    for task in loaded["tasks"].values():
        own = task.get_config("num_fewshot")
        shots = (own or 0) if fewshot is None or own == 0 else fewshot
        if shots and (found := len(task.fewshot_docs())) < shots:
            raise UserError(
                f"--fewshot {shots}: {task.config.task} has {found} solved examples; ask for as many or fewer"
            )
        task.set_config("num_fewshot", shots)
        task.set_fewshot_seed(FEWSHOT_SEED)
    return loaded


def _protocol(name: str, data_dir: Path | None) -> dict:
    found = {}
    for subject, (settings, rows) in subjects_of(name, data_dir, TASKS).items():
        data = partial(_dataset, rows)
        shared = LETTER if settings.get("output_type") is None else {}
        config = {**shared, **settings, "task": f"{name}_{subject}", "custom_dataset": lambda data=data, **_: data()}
        found[config["task"]] = ConfigurableTask(config=config)
    return {"tasks": found, "groups": {}, "group_map": {}}


def _stock(name: str, data_dir: Path | None) -> dict:
    manager = TaskManager(include_path=[str(TASKS / folder) for folder in COMMON], include_defaults=False)
    if name not in manager.all_tasks:
        manager = TaskManager()
    if name not in manager.all_tasks:
        raise UserError(f"--tasks {name!r}: no such task{did_you_mean(name, [*PROTOCOLS, *manager.all_tasks])}")
    try:
        with _local(data_dir) if data_dir else nullcontext():
            return manager.load([name])
    except ConnectionError as error:
        raise UserError(f"--tasks {name}: {error}; with files on disk name their folder: --data-dir DIR") from error


def _dataset(rows: Splits) -> datasets.DatasetDict:
    return datasets.DatasetDict({split: datasets.Dataset.from_list(part) for split, part in rows.items()})


@contextmanager
def _local(data_dir: Path) -> Iterator[None]:
    """While the block runs, what the packages datasets and evaluate would load from the hub comes from here."""

    def load(path: str, name: str | None = None, **_: object) -> datasets.DatasetDict:
        return _dataset(splits(data_dir, path, name))

    def metric(path: str, *args: object) -> object:
        return SandboxedCodeEval() if path == "code_eval" else known(path, *args)

    known = metrics.load
    with patch.object(datasets, "load_dataset", load), patch.object(metrics, "load", metric):
        yield
