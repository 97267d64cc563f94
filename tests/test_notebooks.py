"""The notebooks: each is run in a kernel of its own, at debug size; none has output, and all name one repository."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from baichuan_jax.tokenizer.config import TokenizerConfig
from baichuan_jax.tokenizer.sentencepiece_training import train_tokenizer
from tests.cli.small import ENGLISH, environment
from tests.convert.making import SMALL as SMALL_MODEL
from tests.convert.making import write_published
from tests.test_shipped import DEBUG, ROOT

FOLDER = ROOT / "experiments/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ADDRESS = re.search(r'ADDRESS = "(.*?)"', (ROOT / "setup.py").read_text(encoding="utf-8"))[1]
SETTINGS = dict(setting.removeprefix("--set=").split("=", 1) for setting in DEBUG)
SMALL = {name: ast.literal_eval(value) for name, value in SETTINGS.items()}
CLEANING = {name: SMALL[name] for name in ("DataConfig.max_bytes", "SelectConfig.validation_fraction")}
DECODER = {
    name: value for name, value in SMALL.items() if name.startswith(("VOCAB", "DecoderConfig", "EvaluateConfig"))
}


def name(path: Path) -> str:
    return path.stem


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def cell(notebook: nbformat.NotebookNode, id: str) -> nbformat.NotebookNode:
    [found] = [each for each in notebook.cells if each.id == id]
    return found


def execute(number: int, directory: Path, **settings: object) -> dict[str, str]:
    """Run a notebook in a directory, without its install cell; return {id of a cell: what it printed}.

    settings: names of its settings cell, with values in their place.
    """
    [path] = FOLDER.glob(f"{number}_*.ipynb")
    notebook = read(path)
    notebook.cells.remove(cell(notebook, "install"))
    assigned = cell(notebook, "settings")
    assert set(settings) <= {node.targets[0].id for node in ast.parse(assigned.source).body}
    assigned.source = "\n".join([assigned.source, *(f"{name} = {value!r}" for name, value in settings.items())])
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": directory}}).execute(env=environment())
    assert_clean(notebook)
    return {each.id: printed(each) for each in notebook.cells if each.cell_type == "code"}


def assert_clean(notebook: nbformat.NotebookNode) -> None:
    """Every cell that plots has its picture, and none has a warning."""
    for each in (each for each in notebook.cells if each.cell_type == "code"):
        kinds = {kind for output in each.outputs for kind in output.get("data", ())}
        assert ("image/png" in kinds) == ("plt.show()" in each.source), each.id
        said = [output.text for output in each.outputs if output.get("name") == "stderr"]
        assert not [text for text in said if "TqdmWarning" not in text], each.id  # tqdm would like ipywidgets


def printed(each: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in each.outputs if output.get("name") == "stdout")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_valid_and_has_no_output(path):
    notebook = read(path)
    nbformat.validate(notebook)
    code = [each for each in notebook.cells if each.cell_type == "code"]
    assert all(each.execution_count is None and each.outputs == [] for each in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}, "strip it: pre-commit run nbstripout --all-files"
    assert all(re.fullmatch("[a-z-]+", each.id) for each in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_names_the_repository_once_to_colab_and_once_to_pip(path):
    notebook = read(path)
    owner = ADDRESS.removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{owner}/blob/main/{path.relative_to(ROOT)})" in (
        cell(notebook, "title").source
    )
    assert f'SOURCE = "git+{ADDRESS}"\n' in cell(notebook, "install").source
    assert path.read_text(encoding="utf-8").count(owner) == 2


def test_the_install_cells_differ_only_in_extras():
    sources = {re.sub(r"\[[a-z,]+\] @", "[] @", cell(read(path), "install").source) for path in NOTEBOOKS}
    assert len(NOTEBOOKS) == 5
    assert len(sources) == 1


def test_tokenizer(tmp_path):
    said = execute(2, tmp_path, SIZES=(2500, 3000), SETTINGS=CLEANING)
    lines = said["pieces"].splitlines()
    tokens = [int(re.match(r" *\d+ +(\d+) tokens: ", line)[1]) for line in lines]
    assert tokens[0] > tokens[1] > 5


@pytest.mark.notebook
def test_quickstart(tmp_path):
    said = execute(1, tmp_path, SETTINGS=SMALL)
    assert "kept " in said["data"]
    assert "中国政府|" in said["generate"]
    assert (tmp_path / "runs/quickstart/report/report.html").exists()


@pytest.mark.notebook
def test_own_text(tmp_path):
    said = execute(
        3, tmp_path, STEPS=4, SETTINGS={**SMALL, "TrainConfig.eval_every": 2, "TrainConfig.checkpoint_every": 4}
    )
    assert "gb" in said["clean"]
    assert "duplicate: " in said["clean"]
    domains = {"mine", "zh_news", "en_speeches"}
    for mix in ("alike", "mine"):
        result = json.loads((tmp_path / f"runs/mine-{mix}/train/result.json").read_text())
        assert set(result["validation"]) == domains


@pytest.mark.notebook
def test_published_weights(tmp_path):
    """Random weights stand in for a download."""
    write_published(tmp_path / "published", replace(SMALL_MODEL, vocab=304, context=256), "llama")
    train_tokenizer(TokenizerConfig(vocab=304), iter(ENGLISH * 20), tmp_path / "published/tokenizer.model")
    tuning = {"TuneConfig.steps": 4, "TuneConfig.warmup_steps": 1, "TuneConfig.length": 256}
    scoring = {**CLEANING, "EvaluateConfig.windows": 4}
    said = execute(4, tmp_path, CHECKPOINT="published", SETTINGS=scoring, TUNING=tuning)
    assert float(re.search(r"logits differ by (.*?) of", said["verify"])[1]) < 1e-4
    assert said["generate"].count("|") >= 2
    assert "nats per held-out response token" in said["tune"]
    assert said["chat"].count("|") == 2


@pytest.mark.notebook
def test_plan(tmp_path):
    pytest.importorskip("libtpu")
    said = execute(5, tmp_path, MODEL="model/20m", TARGETS=("v5e:2x2",), TOKENS=1e9, SETTINGS={})
    assert "v5e:2x2: 4 chips" in said["plan"]
    assert "$" in said["time"]
