"""The rules of the house that code can check: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "baichuan_jax"
FILES = sorted(PACKAGE.rglob("*.py"))

# Package -> what of ours it may import beside itself. cli may import everything; nothing imports cli or experiments.
ALLOWED = {
    "core": (),
    "jobs": ("core",),
    "data": ("core", "jobs"),
    "tokenizer": ("core", "data", "jobs"),
    "chat": ("core", "tokenizer"),
    "parallel": ("core",),
    "model": ("core", "parallel"),
    "convert": ("core", "model", "parallel", "tokenizer", "train.checkpoint"),
    "train": ("core", "data.mixing", "tokenizer", "model", "parallel"),
    "tune": ("core", "data", "chat", "tokenizer", "model", "parallel", "train"),
    "plan": ("core", "model", "parallel", "train"),
    "generate": ("core", "chat", "tokenizer", "model", "parallel"),
    "evaluate": ("core", "chat", "generate", "tokenizer", "model", "parallel"),
    "config": ("core",),
    "lab": ("core", "jobs"),
}
ALLOWED["recipe"] = tuple(ALLOWED)
# Third-party package -> where alone it may be imported.
ONLY_IN = {"gin": "config/", "flax": "model/"}
# Text packages run in worker processes that must never load jax; nothing at all loads TensorFlow.
COMPUTES = {"jax", "flax", "optax", "orbax"}
NEVER = dict.fromkeys(("core", "jobs", "data", "tokenizer", "chat"), COMPUTES)


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    place = str(path.relative_to(PACKAGE))
    package = place.split("/")[0]
    for name in imports(path):
        top = name.split(".")[0]
        assert top not in {"tensorflow", "experiments"}, f"{place} imports {name}"
        assert top not in NEVER.get(package, set()), f"{place} imports {name}"
        assert place.startswith(ONLY_IN.get(top, "")), f"{place} imports {name}: only {ONLY_IN.get(top)} may"
        if top == "baichuan_jax" and package in ALLOWED:
            inner = name.removeprefix("baichuan_jax.")
            allowed = (package, *ALLOWED[package])
            assert any(f"{inner}.".startswith(f"{prefix}.") for prefix in allowed), f"{place} imports {name}"


@pytest.mark.parametrize("folder", ["baichuan_jax", "experiments"])
def test_nothing_imports_the_command_line(folder):
    for path in sorted((PACKAGE.parent / folder).rglob("*.py")):
        if not path.is_relative_to(PACKAGE / "cli"):
            found = [name for name in imports(path) if f"{name}.".startswith("baichuan_jax.cli.")]
            assert not found, f"{path} imports {found}"


def test_the_public_api_loads_no_jax():
    """Nor does anything that only declares stages: `run` on a finished run is answered at once."""
    check = (
        "import sys, baichuan_jax as bj; assert 'baichuan_jax.recipe' not in sys.modules; "
        "[getattr(bj, name) for name in bj.__all__]; import baichuan_jax.recipe.table; "
        "assert not {'jax', 'flax', 'matplotlib', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["explain", "configs/runs/quickstart.gin"], 0),
        (["train", "configs/runs/quickstart.gin", "--set=TrainConfig.stepz=1"], 2),
        (["experiment"], 0),
    ],
)
def test_what_computes_nothing_loads_no_package_that_does(arguments, code):
    """A second of start-up comes back with a single import."""
    check = (
        "import atexit, sys; from baichuan_jax.cli.main import main; "
        "loaded = lambda: {'jax', 'flax', 'matplotlib', 'numpy'} & set(sys.modules); "
        "atexit.register(lambda: print('loaded', loaded())); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", check, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, "loaded set()")


def test_the_rule_would_notice(tmp_path):
    file = tmp_path / "sneaky.py"
    file.write_text("def f():\n    from baichuan_jax.train import loop\n    import jax.numpy\n")
    assert imports(file) == {"baichuan_jax.train.loop", "jax.numpy"}


def test_imports_compute_nothing():
    """An array made on import starts JAX on whatever is there, before `plan` or `train` can say on what."""
    places = (path.relative_to(PACKAGE.parent).with_suffix("") for path in FILES)
    modules = [".".join(place.parts) for place in places if place.parts[1] in ("parallel", "model", "train")]
    check = "from jax._src import xla_bridge; assert not xla_bridge.backends_are_initialized()"
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}; {check}"], check=True)
