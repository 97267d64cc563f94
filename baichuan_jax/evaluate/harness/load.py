"""lm-eval's tasks unchanged, with their data from the hub or from files on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import datasets
import lm_eval.tasks
from lm_eval.tasks import TaskManager

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.evaluate.harness.local import splits

TASKS = Path(lm_eval.tasks.__file__).parent
datasets.disable_progress_bars()


# Folders of lm-eval's tasks that are looked into first: its index of all takes ten seconds to make.
COMMON = ("agieval", "ceval", "cmmlu", "gsm8k", "hendrycks_math", "humaneval", "minerva_math", "mmlu")
FEWSHOT_SEED = 1234  # lm-eval's own


def load_tasks(name: str, data_dir: Path | None, fewshot: int | None = None) -> dict:
    """Returns what lm-eval's `evaluate` takes for a task, a group or a tag: tasks and groups.

    data_dir: where the data is; None is the hub. fewshot: examples before a question, where a task does not insist on
    none; None leaves it to the task. Raises UserError on an unknown name, or if there is no such data.
    """
    manager = TaskManager(include_path=[str(TASKS / folder) for folder in COMMON], include_defaults=False)
    if name not in manager.all_tasks:
        manager = TaskManager()
    if name not in manager.all_tasks:
        raise UserError(f"--tasks {name!r}: no such task{did_you_mean(name, manager.all_tasks)}")
    with _local(data_dir) if data_dir else nullcontext():
        loaded = manager.load([name])
    for task in loaded["tasks"].values():
        own = task.get_config("num_fewshot")
        task.set_config("num_fewshot", (own or 0) if fewshot is None or own == 0 else fewshot)
        task.set_fewshot_seed(FEWSHOT_SEED)
    return loaded


@contextmanager
def _local(data_dir: Path) -> Iterator[None]:
    """While the block runs, the package datasets finds what it would load from the hub in a folder."""

    def load(path: str, name: str | None = None, **_: object) -> datasets.DatasetDict:
        found = splits(data_dir, path, name)
        return datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in found.items()})

    with patch.object(datasets, "load_dataset", load):
        yield
