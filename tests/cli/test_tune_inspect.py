"""`tune inspect` over small files, by a tokenizer of bytes."""

import re

import pytest
from rich.console import Console

from baichuan_jax.cli import tune_inspect
from baichuan_jax.cli.main import main
from baichuan_jax.recipe.run import Run
from tests.chat.spelling import talk
from tests.cli.small import write_config
from tests.tune.making import TOKENIZER, template, write_lines

HOSTILE = "[bold]a[/] \x1b[31mred :smile:"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "chat_template", template())
    monkeypatch.setattr(Run, "tokenizer", TOKENIZER)
    talks = [{"messages": talk(HOSTILE, "好。")}, {"messages": talk("a" * 90, "b", "c", "d")}]
    write_lines(tmp_path / "chats.jsonl", [*talks, {"messages": talk("a", " ")}, {"messages": talk("e" * 800, "f")}])
    write_lines(tmp_path / "more.jsonl", [{"prompt": "x" * 300 + "y" * 500 + "z" * 300, "response": "w"}])
    sources = {"chats": f"{tmp_path}/chats.jsonl", "more": f"{tmp_path}/more.jsonl"}
    fields = {"messages": "messages", "more.prompt": "prompt"}  # of one source, whichever is shown
    lines = [
        f"InstructionConfig.fields = {fields!r}",
        "DecoderConfig.context = 4096",
        f"InstructionConfig.sources = {sources!r}",
        "InstructionConfig.held_out = 0.0",
    ]
    return write_config(tmp_path, "\n".join(lines))


def output(capsys, monkeypatch, *arguments: str, **console) -> str:
    wide = lambda **options: Console(width=200, **options, **console)
    monkeypatch.setattr(tune_inspect, "Console", wide)
    assert main(["tune", "inspect", *arguments]) == 0
    return capsys.readouterr().out


def rows(text: str) -> list[list[str]]:
    """Return the words of each line that has some."""
    return [line.split() for line in text.splitlines() if line.strip()]


def test_what_becomes_of_conversations(config, capsys, monkeypatch):
    shown = output(capsys, monkeypatch, str(config), "--source", "chats", "--set", "TuneConfig.length=120")
    place = f"{config.parent}/chats.jsonl"
    counts = {words[0]: words[1:] for words in rows(shown)}
    assert counts["read"] == ["4", "100.00%"]
    assert counts["empty_response"] == ["1", "25.00%"]
    assert counts["too_long"] == ["1", "25.00%"]
    assert counts["kept"] == ["2", "50.00%"]
    assert counts["shortened"] == ["(oldest", "turns", "left", "out)", "1", "25.00%"]
    assert "25.00% of the records are bad, more than InstructionConfig.max_bad = 0.05: tuning refuses" in " ".join(
        shown.split()
    )
    assert f"{place}:3: message 2 of 2: the response is empty" in shown
    assert f"{place}:2: its oldest turns are left out; 1 answers are not trained on" in shown
    assert f"{place}:1 (" in shown
    asked = "<|im_start|>user\n  [bold]a[/] ␛[31mred :smile:<|im_end|>\n  <|im_start|>assistant\n  «好。<|im_end|>»"
    assert asked in re.sub(" +\n", "\n", shown)
    assert counts["chats"][-2] == "33.3%"


def test_the_loss_is_in_colour_on_a_terminal(config, capsys, monkeypatch):
    colours = {"force_terminal": True, "color_system": "standard"}
    shown = output(capsys, monkeypatch, str(config), "--source", "more", "--set", "TuneConfig.length=2000", **colours)
    assert "\x1b[32mw<|im_end|>\x1b[0m" in shown
    assert "«w" not in shown
    assert f"{'x' * 100}" in shown
    assert "y" * 500 not in shown


def test_one_reason_is_shown_in_full(config, capsys, monkeypatch):
    chosen = ["--source", "chats", "--reason", "empty_response", "--set", "TuneConfig.length=500"]
    shown = output(capsys, monkeypatch, str(config), *chosen)
    assert "chats.jsonl:3" in shown
    assert "chats.jsonl:4" not in shown
    assert "in the loss" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "chat"], "--source chat: InstructionConfig.sources has chats, more; did you mean 'chats'?"),
        (["--source", "chats", "--reason", "empty"], "--reason empty: there is empty_response"),
        (["--samples", "0"], "a number of samples, 1 at least"),
        (["--set", "InstructionConfig.sources={}", "--set", "InstructionConfig.fields={}"], "at least one source"),
        (["--set", "TuneConfig.length=20"], "of 4 records none can be trained on"),
    ],
)
def test_mistakes_are_explained(config, capsys, arguments, message):
    length = [] if arguments[-1].startswith("TuneConfig") else ["--set", "TuneConfig.length=600"]
    assert main(["tune", "inspect", str(config), *arguments, *length]) == 2
    assert message in capsys.readouterr().err
