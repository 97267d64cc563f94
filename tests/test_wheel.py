"""The wheel, installed: it carries configs and experiments, and works in any folder."""

import re
import runpy
import subprocess
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest

from baichuan_jax.config.files import shipped_configs
from baichuan_jax.core.shipped import SHIPPED
from baichuan_jax.lab.experiment import find_experiments
from tests.cli.small import environment
from tests.test_notebooks import ADDRESS, FOLDER, SMALL, assert_clean, cell, read
from tests.test_shipped import DEBUG, ROOT, assert_finished, debug_settings

SHIPPED_FOLDERS = ("configs", "experiments")


def run(*command: object, cwd: Path) -> str:
    """Run a command that may not see this checkout; return its standard output."""
    variables = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the source distribution, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("built")
    make_venv(folder / "venv", "build", "twine")
    run(folder / "venv/bin/python", "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Return the commands of an environment in which nothing but the wheel and what it needs is installed."""
    folder = tmp_path_factory.mktemp("installed")
    [wheel] = (built / "dist").glob("*.whl")
    make_venv(folder / "venv", f"{wheel}[demo]")
    return folder / "venv/bin"


def make_venv(folder: Path, *packages: str) -> None:
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", *packages, cwd=folder)


def contents(wheel: Path) -> dict[str, int]:
    """Return {name: checksum} of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return {each.filename: each.CRC for each in archive.infolist()}


@pytest.mark.slow
def test_the_wheel_holds_what_is_shipped_and_one_package(built):
    [wheel] = (built / "dist").glob("*.whl")
    found = contents(wheel)
    assert {name.split("/")[0] for name in found if ".dist-info/" not in name} == {"baichuan_jax"}
    tracked = run("git", "ls-files", *SHIPPED_FOLDERS, cwd=ROOT).split()
    assert {f"baichuan_jax/shipped/{name}" for name in tracked} <= set(found)
    assert not [name for name in found if "__pycache__" in name]
    run(built / "venv/bin/twine", "check", "--strict", *(built / "dist").iterdir(), cwd=built)


@pytest.mark.slow
def test_the_checkout_makes_the_wheel_that_the_source_distribution_makes(built):
    run(built / "venv/bin/python", "-m", "build", "--wheel", "--outdir", built / "direct", ROOT, cwd=built)
    [wheel], [direct] = (built / "dist").glob("*.whl"), (built / "direct").glob("*.whl")
    assert contents(direct) == contents(wheel)


@pytest.mark.slow
def test_shipped_runs_and_experiments_work_in_an_empty_folder(installed, tmp_path):
    command = installed / "baichuan-jax"
    assert [line.split()[0] for line in run(command, "config", "list", cwd=tmp_path).splitlines()] == [
        *shipped_configs()
    ]
    run(command, "run", "quickstart", *DEBUG, cwd=tmp_path)
    assert_finished(tmp_path / "runs/quickstart")
    (tmp_path / "mine.gin").write_text("include 'configs/runs/quickstart.gin'\nRunConfig.workdir = 'runs/mine'\n")
    assert "configs/runs/quickstart.gin:" in run(command, "explain", "mine.gin", cwd=tmp_path)
    listed = {line.split()[0] for line in run(command, "experiment", cwd=tmp_path).splitlines()}
    assert listed == set(find_experiments(SHIPPED / "experiments"))
    for name in ("tokenizer_compression", "ffn_variants"):
        run(command, "experiment", name, *debug_settings(name), cwd=tmp_path)
        assert (tmp_path / "runs/experiments" / name / "record.json").exists()


@pytest.mark.slow
def test_a_notebook_needs_no_restart_of_a_kernel_that_has_loaded_numpy_and_jax(built, tmp_path):
    """Its install cell leaves what is loaded as it is: an older numpy than the newest."""
    [wheel] = (built / "dist").glob("*.whl")
    make_venv(tmp_path / "venv", "ipykernel", "nbclient", "jax", "numpy<2.3")
    notebook = read(next(FOLDER.glob("1_*.ipynb")))
    install = cell(notebook, "install")
    assert f"git+{ADDRESS}" in install.source
    install.source = install.source.replace(f"git+{ADDRESS}", wheel.as_uri())
    cell(notebook, "settings").source = f"SETTINGS = {SMALL}"
    before = "import importlib.metadata, jax, numpy; jax.numpy.ones(3) + 1; loaded_before = (jax, numpy)"
    after = "for each in loaded_before: assert each.__version__ == importlib.metadata.version(each.__name__)"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(before, id="before"))
    notebook.cells.append(nbformat.v4.new_code_cell(after, id="after"))
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    run(tmp_path / "venv/bin/jupyter-execute", "--inplace", "notebook.ipynb", cwd=tmp_path)
    assert_clean(read(tmp_path / "notebook.ipynb"))
    assert (tmp_path / "runs/quickstart/evaluate/manifest.json").exists()


@pytest.mark.slow
def test_no_name_of_the_installed_package_is_anybodys(installed, tmp_path):
    check = "import importlib.util as u; print([u.find_spec(name) for name in ('configs', 'experiments', 'tests')])"
    assert run(installed / "python", "-c", check, cwd=tmp_path).strip() == "[None, None, None]"


def test_links_of_the_description_work_outside_the_repository(monkeypatch):
    """Package indexes show the README without the files beside it."""
    monkeypatch.chdir(ROOT)
    given: dict = {}
    monkeypatch.setattr("setuptools.setup", lambda **settings: given.update(settings))
    runpy.run_path("setup.py")
    links = re.findall(r"\]\(([^)]+)\)", given["long_description"])
    assert len(links) > 10
    assert all(link.startswith("https://") for link in links)
    assert f"{given['url']}/raw/main/docs/report.png" in links
