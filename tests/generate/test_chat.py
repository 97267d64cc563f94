"""Chat with a model that was never trained: the ids it is asked with, where it stops, and what it remembers."""

import json
from dataclasses import replace

import pytest

from baichuan_jax.cli.main import main
from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.generate import stream_ids
from baichuan_jax.generate.text import TextStream
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from tests.chat.spelling import talk
from tests.cli.test_prompts import Input
from tests.generate.serving import write_config

GREEDY = SampleConfig(temperature=0.0, max_tokens=12)


@pytest.fixture(scope="module")
def config(tmp_path_factory, tokenizer_file, params, layout):
    file = write_config(tmp_path_factory.mktemp("chat"), tokenizer_file, params, layout)
    with file.open("a") as text:
        text.write("ChatConfig.template = 'alpaca'\nMeshConfig.data = 1\n")
    return file


@pytest.fixture(scope="module")
def run(config):
    return Run(load_config(config))


@pytest.fixture
def same_run(run, monkeypatch):
    """Let the command line have the run whose programs are compiled."""
    monkeypatch.setattr("baichuan_jax.cli.verbs.Run", lambda *_: run)


def test_an_id_that_stops_one_request_stops_no_other(run):
    engine, prompt = run.load_engine(), run.tokenizer.prompt("The")
    whole = engine.submit(prompt, GREEDY)
    while engine.busy:
        engine.step()
    stop = whole.ids[5]
    stopped, other = engine.submit(prompt, GREEDY, (stop,)), engine.submit(prompt, GREEDY)
    while engine.busy:
        engine.step()
    assert (stopped.ids, stopped.done, stopped.ending) == (whole.ids[: whole.ids.index(stop)], "end", [stop])
    assert other.ids == whole.ids
    again = engine.submit(prompt, GREEDY)  # in the slot that became free
    while engine.busy:
        engine.step()
    assert again.ids == whole.ids


def test_an_answer_continues_the_prompt_of_the_template(run):
    asked = talk("中国 12", system="Be brief.")
    ids = run.chat_template.prompt(asked)
    begun = "Be brief.\n\n### Instruction:\n中国 12\n\n### Response:"
    assert ids == [1, *run.tokenizer.encode(begun)]
    pieces = stream_ids(run.load_engine(), run.tokenizer, [ids], run.config.sample)
    assert run.chat(asked) == "".join(piece.text for piece in pieces)
    with pytest.raises(UserError, match="message 2, the last, has role 'assistant'"):
        run.chat(talk("a", "b"))
    with pytest.raises(UserError, match="a shorter prompt than one of"):
        run.chat(talk("a b " * 200))


@pytest.mark.slow
def test_an_answer_ends_at_the_end_of_the_context(run):
    prompt = run.chat_template.prompt(talk("a"))
    engine = run.load_engine()
    request = engine.submit(prompt, replace(GREEDY, max_tokens=256 - len(prompt)))
    while engine.busy:
        engine.step()
    assert run.chat(talk("a"), max_tokens=250) == TextStream(run.tokenizer).push(request.ids, last=True)


def test_the_command_line_answers(run, same_run, config, capsys):
    assert main(["generate", str(config), "--chat", "--system", "Be brief.", "--prompt", "中国", "--prompt", "a"]) == 0
    answers = [run.chat(talk(text, system="Be brief.")) for text in ("中国", "a")]
    shown = "".join(f"==> {n} of 2 <==\n{text}\n{answer}\n" for n, text, answer in zip((1, 2), ("中国", "a"), answers))
    assert capsys.readouterr().out == shown
    assert main(["generate", str(config), "--chat", "--system", "s", "--json", "--prompt", "中国"]) == 0
    record = {"prompt": "中国", "text": run.chat(talk("中国", system="s")), "finish_reason": "length"}
    assert json.loads(capsys.readouterr().out) == record


def test_a_conversation_at_a_terminal_has_a_history(run, same_run, config, capsys, monkeypatch):
    long = "a b " * 200
    monkeypatch.setattr("sys.stdin", Input(f"中国\n{long}\na\n/new\na\n".encode(), terminal=True))
    assert main(["generate", str(config), "--chat", "--system", "s"]) == 0
    first, alone = (run.chat(talk(text, system="s")) for text in ("中国", "a"))
    answers = [first, run.chat(talk("中国", first, "a", system="s")), alone]
    said = capsys.readouterr()
    assert said.out.replace("> ", "") == "".join(f"{answer}\n" for answer in answers)
    assert "a shorter prompt than one of" in " ".join(said.err.split())
    assert len(set(answers)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--system", "s"], "--system = 's': expected with --chat"),
        (["--chat", "--symbols", "--prompt", "a"], "--symbols = True: expected without --chat"),
        (["--chat", "--prompt", "a", "--set", "ChatConfig.template=auto"], "can serve: alpaca"),
        (["--chat", "--prompt", "a", "--set", "ChatConfig.template=gemma"], "no special token <start_of_turn>"),
    ],
)
def test_what_cannot_be_answered_is_refused(config, capsys, arguments, said):
    assert main(["generate", str(config), *arguments]) == 2
    assert said in capsys.readouterr().err
