"""Chat with a model that was never trained: the ids it is asked with, where it stops, and what it remembers."""

import asyncio
import json
import re
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import jax
import pytest

from baichuan_jax.chat.config import ChatConfig
from baichuan_jax.chat.load import load_chat_template
from baichuan_jax.cli.main import main
from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.generate import stream_ids
from baichuan_jax.generate.serve.app import make_app
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.generate.serve.service import Service
from baichuan_jax.generate.text import TextStream
from baichuan_jax.recipe.hugging_face import _beside, _chat_template
from baichuan_jax.recipe.load import load_config
from baichuan_jax.recipe.run import Run
from baichuan_jax.tokenizer.checkpoint_files import end_ids, write_chat_template
from baichuan_jax.tokenizer.tokenizer_files import load_tokenizer
from tests.chat.spelling import talk
from tests.cli.test_prompts import Input
from tests.generate.serving import NAME, events, serving, write_config

ASKED = talk("中国 12", system="Be brief.")
GREEDY = SampleConfig(temperature=0.0, max_tokens=12)


@pytest.fixture(scope="module")
def config(tmp_path_factory, tokenizer_file, params, layout):
    file = write_config(tmp_path_factory.mktemp("chat"), tokenizer_file, params, layout)
    with file.open("a") as text:
        text.write("ChatConfig.template = 'alpaca'\nMeshConfig.data = 1\n")
    return file


@pytest.fixture(scope="module")
def run(config):
    found, device = Run(load_config(config)), jax.devices()[:1]
    with patch.object(jax, "devices", lambda *_: device):  # programs for one compile faster
        found.load_engine()
    return found


@pytest.fixture
def same_run(run, monkeypatch):
    """Let the command line have the run whose programs are compiled."""
    monkeypatch.setattr("baichuan_jax.cli.verbs.Run", lambda *_: run)


def test_an_id_that_stops_one_request_stops_no_other(run):
    engine, prompt = run.load_engine(), run.chat_template.prompt(ASKED)
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
    with pytest.raises(UserError, match="shorten it: the model's context"):
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


@pytest.mark.slow
def test_a_conversation_at_a_terminal_has_a_history(run, same_run, config, capsys, monkeypatch):
    long = "a b " * 200
    monkeypatch.setattr("sys.stdin", Input(f"中国\n{long}\na\n/new\na\n".encode(), terminal=True))
    assert main(["generate", str(config), "--chat", "--system", "s"]) == 0
    first, alone = (run.chat(talk(text, system="s")) for text in ("中国", "a"))
    answers = [first, run.chat(talk("中国", first, "a", system="s")), alone]
    said = capsys.readouterr()
    assert said.out.replace("> ", "") == "".join(f"{answer}\n" for answer in answers)
    assert "shorten it: the model's context" in " ".join(said.err.split())
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


class Client:
    """A client of the application, in this process."""

    def __init__(self, app):
        self._app = app

    def send(self, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        return asyncio.run(self._send(method, path, json.dumps(body).encode()))

    async def _send(self, method, path, body):
        sent, asked = [], iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive():
            if request := next(asked, None):
                return request
            await asyncio.Event().wait()  # the client stays

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def ask(self, **body) -> tuple[int, dict]:
        status, data = self.send("POST", "/v1/chat/completions", body)
        return status, json.loads(data)


@contextmanager
def client(run, chat):
    service = Service(ServeConfig(), "m", run.config.sample, run.load_engine(), run.tokenizer, chat)
    service.worker.start()
    try:
        yield Client(make_app(service))
    finally:
        service.worker.stop(0)
        service.worker.join()


@pytest.fixture
def chat_client(run):
    with client(run, run.chat_template) as found:
        yield found


def test_an_answer_over_http(run, chat_client):
    status, body = chat_client.ask(model="m", messages=ASKED)
    (choice,) = body["choices"]
    assert (status, body["object"], body["model"]) == (200, "chat.completion", "m")
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "length")
    assert choice["message"]["content"] == run.chat(ASKED)
    prompt = len(run.chat_template.prompt(ASKED))
    assert body["usage"] == {"prompt_tokens": prompt, "completion_tokens": 8, "total_tokens": prompt + 8}
    parts = [{"type": "text", "text": "中国"}, {"type": "text", "text": " 12"}]
    asked = [ASKED[0], {"role": "user", "content": parts, "name": None}]
    _, again = chat_client.ask(messages=asked, max_completion_tokens=5, n=2)
    assert [each["message"]["content"] for each in again["choices"]] == [run.chat(ASKED, max_tokens=5)] * 2


def test_a_streamed_answer_begins_with_the_role(run, chat_client):
    body = {"messages": ASKED, "stream": True, "stream_options": {"include_usage": True}}
    status, data = chat_client.send("POST", "/v1/chat/completions", body)
    first, *pieces, usage, done = events(data)
    assert (status, done, usage["usage"]["completion_tokens"]) == (200, "[DONE]", 8)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {event["object"] for event in (first, *pieces, usage)} == {"chat.completion.chunk"}
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == run.chat(ASKED)
    assert [piece["choices"][0]["finish_reason"] for piece in pieces][-2:] == [None, "length"]


def test_an_answer_ends_at_the_mark_of_the_template(run):
    """One that writes as the end what the model writes third."""
    engine, prompt = run.load_engine(), run.chat_template.prompt(ASKED)
    request = engine.submit(prompt, run.config.sample)
    while engine.busy:
        engine.step()

    class Ended(type(run.chat_template)):
        end_ids = (request.ids[2],)

    template = run.chat_template
    with client(run, Ended(template.name, template.text, template._render, run.tokenizer, [1])) as ended:
        _, body = ended.ask(messages=ASKED)
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["message"]["content"] == TextStream(run.tokenizer).push(request.ids[:2], last=True)
    assert body["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"messages": talk("a", "b")}, "messages", "message 2, the last, has role 'assistant'"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages", "message 1 of 1: unknown role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages", "expected a text"),
        ({"messages": [1]}, "messages", "message 1 of 1: expected an object"),
        ({"messages": []}, "messages", "expected a list of one message or more"),
        ({}, "messages", "expected a list of one message or more"),
        ({"messages": talk("a b " * 200)}, "messages", "shorten it: the model's context"),
        ({"messages": talk(*"a" * 257)}, "messages", "257 messages do not fit the model's context of 256 tokens"),
        ({"messages": ASKED, "\ud800": 1}, "\\ud800", "unknown field"),
        ({"messages": ASKED, "max_tokens": 250}, "max_tokens", "max_tokens = 250: expected at most"),
        ({"messages": ASKED, "max_completion_tokens": 0}, "max_tokens", "a positive integer"),
        ({"messages": ASKED, "tools": [{}]}, "tools", "tools is not supported"),
        ({"messages": ASKED, "prompt": "a"}, "prompt", "unknown field 'prompt'"),
    ],
)
def test_bad_requests_are_answered_in_openais_form(chat_client, body, param, said):
    status, answer = chat_client.ask(**body)
    assert (status, answer["error"]["type"], answer["error"]["param"]) == (400, "invalid_request_error", param)
    assert said in answer["error"]["message"]


def test_more_messages_than_tokens_are_not_rendered(run):
    class Unused(type(run.chat_template)):
        def prompt(self, messages):
            raise AssertionError

    template = run.chat_template
    with client(run, Unused(template.name, template.text, template._render, run.tokenizer)) as unused:
        status, answer = unused.ask(messages=[{"role": "user", "content": "a"}] * 24_001)
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")


def test_without_a_template_chat_says_why(run):
    with client(run, UserError("ChatConfig.template = 'auto': none")) as without:
        status, answer = without.ask(messages=ASKED)
    assert (status, answer["error"]["code"]) == (400, "no_chat_template")


def test_the_page_loads_nothing_from_elsewhere(chat_client):
    status, data = chat_client.send("GET", "/")
    page = data.decode()
    assert status == 200
    assert "v1/chat/completions" in page
    assert not re.search(r'https?:|src=|@import|url\(|href="(?!data:,")', page)


@pytest.mark.slow
def test_openais_client(run, config):
    openai = pytest.importorskip("openai")
    with serving(config) as server:
        chat = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none").chat.completions
        whole = chat.create(model=NAME, messages=ASKED).choices[0]
        assert (whole.message.role, whole.message.content) == ("assistant", run.chat(ASKED))
        stream = chat.create(model=NAME, messages=ASKED, stream=True, stream_options={"include_usage": True})
        *pieces, usage = stream
        assert pieces[0].choices[0].delta.role == "assistant"
        assert "".join(piece.choices[0].delta.content for piece in pieces) == whole.message.content
        assert usage.usage.completion_tokens == 8
        stop = whole.message.content[2:4]
        stopped = chat.create(model=NAME, messages=ASKED, stop=[stop]).choices[0]
        assert (stopped.message.content, stopped.finish_reason) == (whole.message.content.split(stop)[0], "stop")
        for messages, said in ((talk("a", "b"), "'assistant'"), (talk("a b " * 200), "shorten it")):
            with pytest.raises(openai.BadRequestError, match=said) as refused:
                chat.create(model=NAME, messages=messages)
            assert refused.value.param == "messages"
        history = [*ASKED, whole.message.model_dump(), *talk("a")]
        assert chat.create(model=NAME, messages=history, max_completion_tokens=3).usage.completion_tokens == 3


def export(run, directory) -> None:
    """Write the files beside the weights of an export."""
    _beside(run.config, directory)
    write_chat_template(directory, *_chat_template(run.config))


TALKS = (ASKED, talk("a", "b", "中国"))


def test_an_export_has_the_template(run, tmp_path):
    export(run, tmp_path)
    file = tmp_path / "tokenizer.model"
    again = load_chat_template(ChatConfig(), load_tokenizer(file), file)
    for messages in TALKS:
        assert again.prompt(messages) == run.chat_template.prompt(messages)
    assert (again.end_ids, end_ids(tmp_path)) == ((2,), (2,))
    assert _chat_template(replace(run.config, chat=ChatConfig())) is None


@pytest.mark.slow
def test_transformers_gives_the_ids_of_the_prompt(run, tmp_path):
    transformers = pytest.importorskip("transformers")
    export(run, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for messages in TALKS:
        text = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert theirs(text, add_special_tokens=False)["input_ids"] == run.chat_template.prompt(messages)
