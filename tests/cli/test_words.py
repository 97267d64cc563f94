"""What is said to someone who asks for help, mistypes a verb, or has a terminal that lacks characters."""

import ast
import io
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.cli.verbs import verbs
from baichuan_jax.config.literal import literal
from baichuan_jax.core.settings import help_of
from baichuan_jax.recipe.table import STAGES, stages_by_verb

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.py"))
COMMANDS = [path for path in EXPERIMENTS if "__main__" in path.read_text("utf-8")]
TEXT = "a\u00e9\u4e2d\u56fd\U0001f98a\u2500"


@pytest.mark.parametrize("words", [("convert", "--help"), ("convert", "-h")])
def test_help_of_a_verb_of_two_words(capsys, words):
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "convert import" in said
    assert "convert export" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian", "x.gin"), "there is no verb 'trian'; did you mean 'train'?"),
        (("Serve", "x.gin"), "did you mean 'serve'?"),
        (("data", "inspct", "x.gin"), "takes no further argument: 'x.gin'; did you mean 'data inspect'?"),
        (("run", "quickstart", "more"), "`run` takes no further argument: 'more' (baichuan-jax run --help)"),
        (("convert import", "a", "b", "--verfy"), "has no option --verfy; did you mean '--verify'?"),
        (("convert",), "there is no verb 'convert'; there are 'convert export', 'convert import'"),
        (("convert", "imprt", "a", "b"), "there are 'convert export', 'convert import'"),
        (("experimnt",), "did you mean 'experiment'?"),
        (("???",), "; the verbs are run, data"),
    ],
)
def test_a_mistyped_verb(capsys, words, said):
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("verb", [*verbs(), "convert import", "experiment"])
def test_every_verb_has_help(capsys, verb):
    with pytest.raises(SystemExit) as stop:
        main([*verb.split(), "--help"])
    assert stop.value.code == 0
    assert "usage: baichuan-jax" in capsys.readouterr().out


@pytest.mark.parametrize("verb", stages_by_verb())
def test_help_tells_of_the_settings_of_a_verb(capsys, verb):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for stage in stages_by_verb()[verb]:
        for section in STAGES[stage].sections:
            for name, text in help_of(section).items():
                assert f"{section.__name__}.{name}={literal(getattr(section(), name))} {text}" in shown


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "ascii", "utf-8"])
def test_a_terminal_that_lacks_characters(monkeypatch, tmp_path, encoding):
    """Whatever is printed goes to these two streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    config = ROOT / "configs/base.gin"
    assert main(["explain", str(config), "--set", f"RunConfig.workdir={TEXT!r}"]) == 0
    assert main(["explain", str(config), "--set", f"RunConfig.{TEXT}=1"]) == 2
    for stream in streams:
        stream.flush()
        assert TEXT.encode(encoding, "backslashreplace") in stream.buffer.getvalue()


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_experiments_read_their_options(file):
    """So that --help is answered; that nothing is done before is seen by running them."""
    calls = [node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert "parse_args" in [call.attr for call in calls if isinstance(call, ast.Attribute)]


@pytest.mark.slow
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_help_of_an_experiment_does_no_work(tmp_path, file):
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ("usage:" in done.stdout) == (file in COMMANDS)


def test_nobody_is_told_to_install_what_no_index_has():
    wrong = "baichuan-jax" + "["
    files = [
        path for folder in ("baichuan_jax", "docs", "experiments", "configs") for path in (ROOT / folder).rglob("*")
    ]
    texts = {
        path: path.read_text("utf-8") for path in [*files, ROOT / "README.md"] if path.suffix in (".py", ".md", ".gin")
    }
    assert [path for path, text in texts.items() if wrong in text] == []


def test_messages_name_extras_as_they_are_installed_here():
    package = ROOT / "baichuan_jax"
    found = [path for path in package.rglob("*.py") if "pip install -e" in path.read_text("utf-8")]
    assert found == [package / "core/extras.py"]


def test_a_command_without_a_verb_lists_them(capsys):
    assert main([]) == 2
    said = capsys.readouterr().err
    assert "config copy" in said
    assert "--version" in said


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"baichuan-jax {version('baichuan-jax')}\n"
