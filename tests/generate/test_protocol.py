"""What a request may say, without a server."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_jax.core.errors import UserError
from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.serve.app import _event
from baichuan_jax.generate.serve.chat import parse_chat
from baichuan_jax.generate.serve.config import ServeConfig
from baichuan_jax.generate.serve.protocol import ProtocolError, Query, parse
from baichuan_jax.generate.serve.server import bound
from baichuan_jax.generate.serve.worker import Job, Prompt, Worker

DEFAULT = SampleConfig(prompts=("of the config",), max_tokens=99, temperature=0.5, top_k=3, stop=("\n",))


def parsed(**fields) -> Query:
    return parse(json.dumps(fields).encode(), "m", DEFAULT, 7)


def test_what_is_not_said_is_as_in_the_config():
    sample = SampleConfig(max_tokens=99, temperature=0.5, top_k=3, stop=("\n",), seed=7)
    assert parsed(prompt="a") == Query(("a",), 1, sample, longest=True, stream=False, usage=False)
    nothing = {"temperature": None, "stop": None, "n": None, "max_tokens": None, "stream": None, "logprobs": None}
    assert parsed(prompt="a", **nothing) == parsed(prompt="a")


def test_what_is_said():
    query = parsed(
        prompt=["a", "中"],
        n=2,
        max_tokens=5,
        temperature=1,
        top_p=0.5,
        top_k=0,
        repetition_penalty=1.1,
        stop="x",
        seed=-1,
        stream=True,
        stream_options={"include_usage": True},
        user="somebody",
        model="m",
        echo=False,
        presence_penalty=0,
        logit_bias={},
    )
    sample = SampleConfig(max_tokens=5, temperature=1.0, top_p=0.5, repetition_penalty=1.1, stop=("x",), seed=-1)
    assert query == Query(("a", "中"), 2, sample, longest=False, stream=True, usage=True)
    assert parsed(prompt="a", stop=[]).sample.stop == ()


def test_forms_of_a_prompt():
    assert parsed(prompt=[3, 4]).prompts == ((3, 4),)
    assert parsed(prompt=[[3, 4], [5]]).prompts == ((3, 4), (5,))
    assert parsed(prompt=["a", ""]).prompts == ("a", "")


def test_nothing_written_echo_and_logprobs():
    query = parsed(prompt="a", max_tokens=0, echo=True, logprobs=0, n=2, best_of=2)
    assert (query.written, query.longest, query.echo, query.logprobs, query.n) == (False, False, True, 0, 2)
    query = parsed(prompt="a", max_tokens=1)
    assert (query.written, query.echo, query.logprobs) == (True, False, None)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_an_event_is_one_line_whatever_its_reader_ends_lines_at(text):
    lines = [line for line in _event({"text": text}).splitlines() if line]
    assert [json.loads(line.removeprefix("data: ")) for line in lines] == [{"text": text}]


BAD = [
    ({}, "prompt", "prompt = null: expected a text, token ids, or a list of texts or of lists of token ids"),
    ({"prompt": []}, "prompt", "expected a text"),
    ({"prompt": [[1, 2], []]}, "prompt", "prompt = [[1, 2], []]: expected a text"),
    ({"prompt": [1, "a"]}, "prompt", 'prompt = [1, "a"]: expected a text'),
    ({"prompt": [[1], "a"]}, "prompt", "expected a text"),
    ({"prompt": [True]}, "prompt", "prompt = [true]: expected a text"),
    ({"prompt": [1.0]}, "prompt", "expected a text"),
    ({"prompt": "a\ud800"}, "prompt", "unpaired surrogate at character 1"),
    ({"promt": "a"}, "promt", "unknown field 'promt'; did you mean 'prompt'?"),
    ({"max_tokens": -1}, "max_tokens", "max_tokens = -1: expected an integer, 0 or more"),
    ({"max_tokens": 1.5}, "max_tokens", "max_tokens = 1.5: expected an integer"),
    ({"max_tokens": True}, "max_tokens", "max_tokens = true: expected an integer"),
    ({"max_tokens": 2**31}, "max_tokens", "expected an integer"),
    ({"top_k": 2**31}, "top_k", "expected an integer"),
    ({"n": 0}, "n", "n = 0: expected an integer, 1 or more"),
    ({"temperature": -1}, "temperature", "temperature = -1.0: expected 0 (greedy) or more"),
    ({"temperature": 10**400}, "temperature", "expected a number"),
    ({"temperature": "1"}, "temperature", 'temperature = "1": expected a number'),
    ({"top_p": 0}, "top_p", "top_p = 0.0: expected a probability"),
    ({"stop": ""}, "stop", "expected texts that are not empty"),
    ({"stop": ["a"] * 17}, "stop", "expected at most 16 texts, not 17"),
    ({"stream": 1}, "stream", "stream = 1: expected true or false"),
    ({"stream_options": []}, "stream_options", "expected an object"),
    ({"stream_options": {"include_usage": 1}}, "include_usage", "include_usage = 1: expected true or false"),
    ({"suffix": "b"}, "suffix", "suffix is not supported; leave it out"),
    ({"echo": 1}, "echo", "echo = 1: expected true or false"),
    ({"logprobs": 6}, "logprobs", "logprobs = 6: expected an integer, 0 to 5"),
    ({"logprobs": True}, "logprobs", "logprobs = true: expected an integer, 0 to 5"),
    ({"logprobs": 1, "stream": True}, "logprobs", "leave out logprobs or stream"),
    ({"best_of": 3}, "best_of", "best_of = 3: expected n = 1"),
    ({"best_of": 1, "n": 2}, "best_of", "best_of = 1: expected n = 2"),
    ({"best_of": "2"}, "best_of", "expected an integer, 1 or more"),
]


@pytest.mark.parametrize(("fields", "param", "message"), BAD)
def test_bad_fields(fields, param, message):
    with pytest.raises(ProtocolError) as error:
        parsed(**({"prompt": "a"} if "promt" not in fields and fields else {}) | fields)
    assert message in str(error.value)
    assert error.value.param == param
    assert error.value.body()["error"]["type"] == "invalid_request_error"


SURROGATE = st.sampled_from(["\ud800", "a\udfff", "prompt\ud83d"])
ANYTHING = st.recursive(
    SURROGATE | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SURROGATE | st.just("content"), inner, max_size=2),
    max_leaves=4,
)
FIELD = SURROGATE | st.sampled_from(["model", "messages", "prompt", "stop", "stream_options", "max_tokens", "suffix"])


@given(st.dictionaries(FIELD, ANYTHING, min_size=1, max_size=3), st.sampled_from([parse, parse_chat]))
def test_every_answer_to_unpaired_surrogates_can_be_sent(fields, read):
    answer = {}
    try:
        read(json.dumps(fields).encode(), "m", DEFAULT, 7)
    except ProtocolError as error:
        answer = error.body()
    assert json.dumps(answer, ensure_ascii=False).encode()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "9" * 5000])
def test_numbers_that_are_none(number):
    with pytest.raises(ProtocolError, match=r"not JSON|expected a number"):
        parse(b'{"prompt": "a", "temperature": %s}' % number.encode(), "m", DEFAULT, 0)


def test_an_engine_that_breaks_leaves_nobody_waiting(engine, tokenizer, monkeypatch):
    worker, heard, all_heard = Worker(engine, tokenizer), [], threading.Event()
    push = lambda piece: (heard.append(piece), len(heard) == 3 and all_heard.set())
    monkeypatch.setattr(engine, "step", lambda: 1 / 0)
    worker.start()
    for _ in range(2):
        worker.submit(Job([Prompt([5], SampleConfig(max_tokens=4))], push))
    worker.join()
    assert isinstance(worker.failure, ZeroDivisionError)
    worker.submit(Job([Prompt([5], SampleConfig(max_tokens=4))], push))  # too late
    assert all_heard.wait(5)
    assert heard == [None] * 3


def test_an_address_that_is_taken():
    with bound(ServeConfig(port=0)) as first:
        assert first.getsockname()[0] == "127.0.0.1"
        port = first.getsockname()[1]
        first.listen()
        said = rf"'127.0.0.1', {port}: cannot listen there \(Address already in use\); .*port={port + 1}$"
        with pytest.raises(UserError, match=said):
            bound(ServeConfig(port=port))
    with pytest.raises(UserError, match="cannot listen there"):
        bound(ServeConfig(host="no.such.name.invalid"))


@pytest.mark.parametrize(
    ("name", "value"), {"host": "", "port": 65536, "max_body": 0, "max_open": 0, "grace": -1.0}.items()
)
def test_settings_out_of_range(name, value):
    with pytest.raises(UserError, match=f"ServeConfig.{name} = "):
        ServeConfig(**{name: value})
