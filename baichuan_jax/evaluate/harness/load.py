"""Load lm-eval's tasks, unchanged, with data from the hub or from files on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

import datasets
import evaluate as metrics
import lm_eval.tasks
from huggingface_hub import constants
from huggingface_hub.utils import get_session
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import did_you_mean
from baichuan_jax.evaluate.harness.humaneval import SandboxedCodeEval
from baichuan_jax.evaluate.harness.local import Splits, splits
from baichuan_jax.evaluate.harness.protocols import LETTER, PROTOCOLS, is_protocol, subjects_of

TASKS = Path(lm_eval.tasks.__file__).parent
datasets.disable_progress_bars()


# Folders of lm-eval's tasks that are searched first: indexing all of them takes ten seconds.
COMMON = ("agieval", "ceval", "cmmlu", "gsm8k", "hendrycks_math", "humaneval", "minerva_math", "mmlu")
FEWSHOT_SEED = 1234  # lm-eval's own
PATIENCE = 5.0  # seconds that the hub has to answer
WAYS_OUT = (
    "Run once with network access (the data is cached in HF_HOME), or pass a folder with the data sets: --data-dir DIR "
    "(docs/evaluate.md)"
)


def load_tasks(name: str, data_dir: Path | None, fewshot: int | None = None) -> dict:
    """Return what lm-eval's `evaluate` takes for a task, a group or a tag: tasks and groups.

    data_dir: folder with the data; None loads from the hub. fewshot: solved examples before each question, unless the
    task is fixed to zero; None keeps the task's own number. Raise UserError on an unknown name, missing data or too few
    examples.
    """
    loaded = _protocol(name, data_dir) if is_protocol(name) else _stock(name, data_dir)
    for task in loaded["tasks"].values():
        own = task.get_config("num_fewshot")
        shots = (own or 0) if fewshot is None or own == 0 else fewshot
        if shots and (found := len(task.fewshot_docs())) < shots:
            raise UserError(f"--fewshot {shots}: {task.config.task} has only {found} solved examples; lower --fewshot")
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
    with ExitStack() as stack:
        stack.enter_context(patch.object(metrics, "load", partial(_metric, metrics.load)))
        stack.enter_context(_local(data_dir) if data_dir else _hub())
        try:
            return manager.load([name])
        except (ConnectionError, FileNotFoundError) as error:
            raise UserError(f"--tasks {name}: {error}. {WAYS_OUT}") from error


def _dataset(rows: Splits) -> datasets.DatasetDict:
    return datasets.DatasetDict({split: datasets.Dataset.from_list(part) for split, part in rows.items()})


def _metric(known: Callable[..., object], path: str, *args: object) -> object:
    return SandboxedCodeEval() if path == "code_eval" else known(path, *args)


@contextmanager
def _local(data_dir: Path) -> Iterator[None]:
    """While the block runs, `datasets.load_dataset` reads from this folder instead of the hub."""

    def load(path: str, name: str | None = None, **_: object) -> datasets.DatasetDict:
        return _dataset(splits(data_dir, path, name))

    with patch.object(datasets, "load_dataset", load):
        yield


def _answers() -> bool:
    """Return whether the hub answers within PATIENCE seconds, without the many retries of the packages."""
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception:  # the exception depends on the HTTP package that the hub's client uses
        return False
    return True


def _hub() -> AbstractContextManager:
    """While the block runs, load data from the hub; if it cannot be reached, from the cache of the packages."""
    if _answers():
        return nullcontext()
    stack = ExitStack()
    for place in (constants, datasets.config):
        stack.enter_context(patch.object(place, "HF_HUB_OFFLINE", True))
    return stack
