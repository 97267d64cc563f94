"""The recipe from Python: the bits of the command line, from a thread, from a notebook cell, several runs at once."""

import asyncio
import io
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import jax
import numpy as np
import pytest

import baichuan_jax as bj
from baichuan_jax.cli.main import main
from baichuan_jax.core.files import read_json
from baichuan_jax.recipe.stages.train import TrainResult
from baichuan_jax.recipe.table import STAGES
from tests.cli.small import write_config

ROOT = Path(__file__).parents[2]
SMALL = """
DecoderConfig.layers = 1
TrainConfig.steps = 4
TrainConfig.eval_every = 2
TrainConfig.checkpoint_every = 2
OptimConfig.warmup_steps = 1
SampleConfig.max_tokens = 4
"""


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    """(config file, workdir) of a run of the command line."""
    directory = tmp_path_factory.mktemp("command")
    config = write_config(directory, SMALL)
    for verb in ("data", "tokenizer", "train", "evaluate", "generate"):
        assert main([verb, str(config)]) == 0
    return config, directory / "run"


class Seen(bj.Progress):
    """Progress that keeps the steps it is told of, the thread that told it, and the page that is written meanwhile."""

    def __init__(self, workdir):
        self.workdir, self.steps, self.threads, self.page = workdir, [], set(), ""

    def training(self, steps):
        def report(record):
            self.steps.append(record["step"])
            self.threads.add(threading.current_thread())
            if record["step"] == 3:
                self.page = Path(bj.Run.open(self.workdir).report().page).read_text(encoding="utf-8")

        class Context:
            __enter__ = lambda self: report
            __exit__ = lambda self, *error: None

        return Context()


@pytest.fixture(scope="module")
def by_python(by_command, tmp_path_factory):
    """(run, its training's result, progress, what was printed) of the same config, built in a thread of its own."""
    workdir, printed = tmp_path_factory.mktemp("python") / "run", io.StringIO()
    seen = Seen(workdir)
    run = bj.Run(bj.load_config(by_command[0], {"RunConfig.workdir": workdir}), progress=seen)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with redirect_stdout(printed), redirect_stderr(printed), ThreadPoolExecutor(1) as pool:
        trained = pool.submit(run.build, "train").result()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    return run, trained, seen, printed.getvalue()


def numbers(workdir: Path) -> list[dict]:
    """Return the records of training without the speeds."""
    kept = ("step", "loss", "grad_norm", "learning_rate", "validation", "domain_loss")
    records = bj.Run.open(workdir).metrics()
    return [{name: record[name] for name in kept if name in record} for record in records]


def test_training_has_the_bits_of_the_command_line(by_command, by_python):
    run, trained, _, _ = by_python
    assert [record["step"] for record in run.metrics() if "loss" in record] == [1, 2, 3, 4]
    assert numbers(run.workdir) == numbers(by_command[1])
    assert isinstance(trained, TrainResult)
    assert trained.loss == bj.Run.open(by_command[1]).result("train").loss
    assert trained.seconds > 0
    same = jax.tree.map(np.array_equal, run.params, bj.Run.open(by_command[1]).params)
    assert all(jax.tree.leaves(same))


def test_result_files_have_the_keys_of_the_command_line(by_command, by_python):
    for name in ("data", "tokenizer", "tokens", "train"):
        files = [read_json(workdir / name / "result.json") for workdir in (by_python[0].workdir, by_command[1])]
        assert list(files[0]) == list(files[1])
        assert files[0] == {**by_python[0].result(name).as_record(), "stage": name, "seconds": files[0]["seconds"]}


def test_nothing_is_printed_and_progress_is_told(by_python):
    _, _, seen, printed = by_python
    assert printed == ""
    assert sorted(set(seen.steps)) == [0, 1, 2, 3, 4]
    assert threading.main_thread() not in seen.threads


def test_a_page_is_written_while_training_goes_on(by_python):
    run, _, seen, _ = by_python
    for told in ("in training: step 3 of 4", "Training loss against steps", "Validation bits per byte of every domain"):
        assert told in seen.page
    assert not (run.workdir / "report/manifest.json").exists()
    with pytest.raises(bj.UserError, match="nothing to report"):
        bj.Run(replace(run.config, workdir="runs/none")).report()


def test_evaluation_and_texts_from_a_notebook_cell(by_command, by_python, capsys):
    """A cell runs in the main thread, inside a running event loop."""
    run, prompts = by_python[0], ["中国", "The people"]

    async def cell():
        return (
            run.evaluate().domains,
            run.generate(prompts),
            run.tokenizer.encode("中国"),
            run.generate(["We"], temperature=0.0),
        )

    domains, texts, ids, greedy = asyncio.run(cell())
    command = bj.Run.open(by_command[1])
    assert domains == command.result("evaluate").domains
    assert texts == [sample["text"] for sample in command.result("generate").samples]
    assert command.tokenizer.decode(ids) == "中国"
    capsys.readouterr()
    assert main(["generate", str(by_command[0]), "--prompt", "We", "--set", "SampleConfig.temperature=0.0"]) == 0
    assert capsys.readouterr().out == f"We{greedy[0]}\n"


def test_what_is_finished_is_not_built_again(by_python, monkeypatch):
    run = by_python[0]
    for name in ("data", "tokenizer", "tokens", "train"):
        monkeypatch.setitem(STAGES, name, replace(STAGES[name], build=None))
    assert run.build("train").steps == 4
    assert "tokens, train" in repr(bj.Run.open(run.workdir))


@pytest.mark.slow
def test_two_runs_in_one_process(by_python, tmp_path):
    first = by_python[0]
    text = first.generate(["We"], temperature=0.0)
    config = replace(first.config, workdir=str(tmp_path / "run"), base=str(first.workdir))
    second = bj.Run(replace(config, train=replace(config.train, seed=1)))
    assert second.build("train").loss != first.result("train").loss
    assert [record["step"] for record in second.metrics()] == [record["step"] for record in first.metrics()]
    assert second.generate(["We"], temperature=0.0) != text
    page = Path(second.report().page).read_text(encoding="utf-8")
    assert page.count(f">{first.workdir}</td>") == 3, "data, tokenizer and tokens are of the first"
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_dir()) == [
        "heartbeats",
        "report",
        "train",
    ]
    assert first.generate(["We"], temperature=0.0) == text


def test_a_run_is_opened_where_it_was_moved_to(by_command, tmp_path):
    copytree(by_command[1], tmp_path / "moved")
    moved = bj.Run.open(tmp_path / "moved")
    assert moved.config.workdir == str(tmp_path / "moved")
    assert moved.build("evaluate") == bj.Run.open(by_command[1]).result("evaluate")
    stage = moved.pipeline.stage("report")
    stage.run(lambda directory: {"page": "old/report/report.html", "plots": ["old/report/plots/loss.png"]})
    assert moved.report().page == str(tmp_path / "moved/report/report.html")
    assert moved.report().plots == [str(tmp_path / "moved/report/plots/loss.png")]


def test_mistakes_are_raised(by_command, tmp_path):
    with pytest.raises(bj.UserError, match="TrainConfig has no field 'stps'; did you mean 'steps'"):
        bj.load_config(by_command[0], {"TrainConfig.stps": 3})
    with pytest.raises(bj.UserError, match="there is no stage 'trian'; the stages are data"):
        bj.Run.open(by_command[1]).build("trian")
    with pytest.raises(bj.UserError, match=r"there is no run in .*config.gin is missing"):
        bj.Run.open(tmp_path)
    with pytest.raises(bj.UserError, match=r"TrainConfig.seed was 0, is now 1"):
        bj.Run(bj.load_config(by_command[0], {"TrainConfig.seed": 1})).build("train")
    with pytest.raises(bj.UserError, match="stage 'train' has not finished"):
        bj.Run(bj.load_config(by_command[0], {"RunConfig.workdir": tmp_path})).generate(["We"])


def test_results_of_other_code():
    found = TrainResult.read({"parameters": 5, "tokens": 0, "steps": 0, "mesh": {}, "device": "cpu", "later": 1})
    assert found.as_record() == {"parameters": 5, "tokens": 0, "steps": 0, "mesh": {}, "device": "cpu"}
    with pytest.raises(bj.UserError, match="the result of stage 'train' is of other code: no parameters, mesh, device"):
        TrainResult.read({"stage": "train", "tokens": 0, "steps": 0})


def test_overrides_are_a_dict_or_lines(by_command):
    as_dict = bj.load_config(by_command[0], {"TrainConfig.steps": 7, "SampleConfig.prompts": ("a", "b = 1")})
    as_lines = bj.load_config(by_command[0], ["TrainConfig.steps=7", "SampleConfig.prompts=('a', 'b = 1')"])
    assert as_dict == as_lines
    assert as_dict.train.steps == 7
    assert as_dict.sample.prompts == ("a", "b = 1")


def test_printed_progress_is_lines():
    lines = []
    progress = bj.PrintProgress(seconds=0.0, write=lines.append)
    with progress.status("loading"), progress.units("data") as tell, progress.training(9) as report:
        tell("tasks of phase read", 3, 8)
        report({"step": 4, "validation": {"zh": 2.0}, "validation_mean": 2.0})
    progress.note("done")
    assert lines == ["loading ...", "data: 3 of 8 tasks of phase read", "step 4/9  2.000 bits/byte", "done"]


@pytest.mark.parametrize("file", ["README.md", "docs/python.md"])
def test_the_python_that_is_shown_runs(file, by_command, monkeypatch):
    config = bj.load_config(by_command[0])
    monkeypatch.setattr(bj, "load_config", lambda file, overrides: config)
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names = {}
    exec(code, names)
    assert names["run"].config is config


def test_help_teaches():
    assert "import baichuan_jax as bj" in bj.Run.__doc__
    public = [name for name in dir(bj.Run) if not name.startswith("_")]
    assert {"build", "evaluate", "generate", "metrics", "open", "params", "result", "tokenizer"} <= set(public)
    assert all(getattr(bj.Run, name).__doc__ for name in public)
    assert all(getattr(bj, name).__doc__ for name in bj.__all__)
    assert set(bj.__all__) <= set(dir(bj))
