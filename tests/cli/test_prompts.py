"""Where prompts come from, and what is said where there are none."""

import io
from argparse import Namespace

import pytest

from baichuan_jax.cli.generate import prompts_of
from baichuan_jax.core.errors import UserError


class Input(io.TextIOWrapper):
    def __init__(self, data: bytes, terminal: bool):
        super().__init__(io.BytesIO(data))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def batches(prompt=None, file=None) -> list[list[str]]:
    return list(prompts_of(Namespace(prompt=prompt, file=file)))


def test_given_ones_and_those_of_a_file(tmp_path):
    assert batches(["a", "b"]) == [["a", "b"]]
    (tmp_path / "f").write_text("一\n\n two \n", encoding="utf-8")
    assert batches(file=tmp_path / "f") == [["一", " two "]]


def test_standard_input_is_one_prompt(monkeypatch):
    monkeypatch.setattr("sys.stdin", Input("一\ntwo\n".encode(), terminal=False))
    assert batches(["-"]) == [["一\ntwo"]]


def test_at_a_terminal_each_line_is_one(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Input("一\n\ntwo\n".encode(), terminal=True))
    assert batches(["-"]) == [["一"], ["two"]]
    assert "Ctrl-D" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [(b"\n \n", "no prompt in it"), (b"ab\xff", "not UTF-8 at byte 2")])
def test_a_file_without_prompts(tmp_path, content, said):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match=said):
        batches(file=tmp_path / "f")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"--file .*nowhere: cannot be read \(No such file"):
        batches(file=tmp_path / "nowhere")


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\xe4", "not UTF-8 at byte 0")])
def test_nothing_on_standard_input(monkeypatch, content, said):
    monkeypatch.setattr("sys.stdin", Input(content, terminal=False))
    with pytest.raises(UserError, match=said):
        batches(["-"])
