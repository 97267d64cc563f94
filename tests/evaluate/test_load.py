"""Tasks from the hub: lm-eval's own, unchanged, and what is said where there is no network."""

from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.harness.local import splits

pytest.importorskip("lm_eval")
datasets = pytest.importorskip("datasets")

DATA = Path(__file__).parents[3] / "shared/data/eval"
NAMES = (
    "ceval-valid_law",
    "cmmlu_arts",
    "mmlu_anatomy",
    "agieval_sat_math",
    "gsm8k",
    "minerva_math_algebra",
    "humaneval",
)


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch, tmp_path):
    from baichuan_jax.evaluate.harness import load

    asked = []

    class NoNetwork:
        def head(self, url, **_):
            asked.append(url)
            raise OSError("Name or service not known")

    monkeypatch.setattr(load, "get_session", NoNetwork)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    known = load.constants.HF_HUB_OFFLINE
    with pytest.raises(UserError, match=r"gsm8k.*network access.*--data-dir DIR"):
        load.load_tasks("gsm8k", None)
    assert len(asked) == 1
    assert known == load.constants.HF_HUB_OFFLINE


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_from_the_hub_a_task_is_lm_evals_own(monkeypatch, name):
    """The same rows asked for by the same names, the same settings, the same prompts."""
    from lm_eval.tasks import TaskManager

    from baichuan_jax.evaluate.harness import load

    asked = []

    def hub(path, name=None, **more):
        asked.append((path, name, more))
        return load._dataset(splits(DATA, path, name))

    monkeypatch.setattr(datasets, "load_dataset", hub)
    monkeypatch.setattr(load, "_answers", lambda: True)
    monkeypatch.setattr(load.metrics, "load", lambda *_: load.SandboxedCodeEval())
    found = []
    for tasks in (lambda: load.load_tasks(name, None), lambda: TaskManager().load([name])):
        [task] = tasks()["tasks"].values()
        task.set_fewshot_seed(load.FEWSHOT_SEED)
        task.build_all_requests(limit=3, rank=0, world_size=1)
        found.append((asked.copy(), task.dump_config(), [instance.args for instance in task.instances]))
        asked.clear()
    ours, theirs = found
    assert ours[0] == theirs[0]
    assert {**ours[1], "num_fewshot": 0} == {**theirs[1], "num_fewshot": 0}
    assert (ours[1].get("num_fewshot") or 0) == (theirs[1].get("num_fewshot") or 0)
    assert ours[2] == theirs[2]
