"""The server as its clients see it: a process, sockets, and whatever may come through them."""

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.generate import generate
from baichuan_jax.model.execution import Batch
from tests.generate.naive import continued, forward
from tests.generate.serving import MODEL, NAME, events, serving, write_config

PROMPTS = ["The", "中国 12", "def f(x):\n    return", ""]
# Greedy, and with no end of its own; so many of it are under way for a while. The context is 256 tokens.
LONG = {"prompt": "中国 12", "max_tokens": 240, "n": 240}


@pytest.fixture(scope="module")
def server(tmp_path_factory, tokenizer_file, params, layout):
    directory = tmp_path_factory.mktemp("serve")
    with serving(write_config(directory, tokenizer_file, params, layout)) as server:
        yield server


@pytest.fixture
def here(engine, tokenizer):
    """Return the texts that the engine gives in this process."""

    def texts(prompts=PROMPTS, **settings):
        return generate(engine, tokenizer, prompts, SampleConfig(**{"temperature": 0.0, "max_tokens": 8, **settings}))

    return texts


def texts(answer: dict) -> list[str]:
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(answer["choices"])))
    return [choice["text"] for choice in answer["choices"]]


def test_whole_texts_are_those_of_the_engine(server, here, tokenizer):
    answer = server.complete(prompt=PROMPTS)
    assert texts(answer) == here()
    assert answer["object"] == "text_completion"
    assert answer["model"] == NAME
    prompt = sum(1 + len(tokenizer.encode(prompt)) for prompt in PROMPTS)
    assert answer["usage"] == {"prompt_tokens": prompt, "completion_tokens": 32, "total_tokens": prompt + 32}
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}
    assert texts(server.complete(prompt="The", max_tokens=5)) == here(["The"], max_tokens=5)


def test_settings_are_heeded(server, here):
    drawn = {"temperature": 1.3, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.2, "seed": 7}
    assert texts(server.complete(prompt=PROMPTS, **drawn)) == here(**drawn)
    three = texts(server.complete(prompt="The", n=3, temperature=1.0, seed=3))
    assert three == here(["The"] * 3, temperature=1.0, seed=3)
    free = [texts(server.complete(prompt="The", temperature=1.0, max_tokens=14)) for _ in range(2)]
    assert free[0] != free[1]  # a seed by chance


def test_a_stop_string_ends_a_text(server, here):
    whole = here(["中国 12"], max_tokens=14)[0]
    stop = whole[5:7]
    (choice,) = server.complete(prompt="中国 12", max_tokens=14, stop=["never there", stop])["choices"]
    assert (choice["text"], choice["finish_reason"]) == (whole.split(stop)[0], "stop")


def test_a_stream_is_the_whole_in_pieces(server, here):
    *pieces, counts, done = server.stream(prompt=PROMPTS, max_tokens=14, stream_options={"include_usage": True})
    assert done == "[DONE]"
    assert counts["choices"] == []
    assert (
        counts["usage"]["completion_tokens"]
        == server.complete(prompt=PROMPTS, max_tokens=14)["usage"]["completion_tokens"]
    )
    made, reasons = [""] * 4, [[] for _ in range(4)]
    for piece in pieces:
        (choice,) = piece["choices"]
        made[choice["index"]] += choice["text"]
        reasons[choice["index"]].append(choice["finish_reason"])
    assert made == here(max_tokens=14)
    assert len(pieces) > 8
    assert all(each == [None] * (len(each) - 1) + [each[-1]] and each[-1] for each in reasons)
    assert len({piece["id"] for piece in pieces}) == 1


def spread(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, by definition."""
    logits = logits.astype(np.float64)
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


def test_ids_are_continued_as_their_text_is(server, here, tokenizer):
    ids = [tokenizer.prompt(prompt) for prompt in PROMPTS]
    assert texts(server.complete(prompt=ids)) == here()
    assert texts(server.complete(prompt=ids[0])) == here(PROMPTS[:1])
    status, answer = server.ask("/v1/completions", {"prompt": [5, 304]})
    assert (status, answer["error"]["param"]) == (400, "prompt")
    assert answer["error"]["message"] == "prompt: token id 304 does not exist; ids are 0 to 303"


@pytest.mark.parametrize("made", [0, 1, 6])
def test_echo_and_logprobs_are_those_of_the_whole_text(server, params, tokenizer, made):
    prompt = "中国 12 the fox"
    before = tokenizer.prompt(prompt)
    asked = {"max_tokens": made, "echo": True, "logprobs": 3}
    answers = [server.complete(prompt=form, **asked) for form in (prompt, before)]
    ids = before + continued(params, before, SampleConfig(max_tokens=made, temperature=0.0), MODEL) if made else before
    row = np.zeros((1, MODEL.context), np.int32)
    row[0, : len(ids)] = ids
    log_p = spread(np.asarray(forward(MODEL)(params, Batch(row)))[0, : len(ids) - 1])
    for answer in answers:
        assert answer["choices"][0]["text"].startswith(prompt)
        assert answer["usage"]["completion_tokens"] == made
        told = answer["choices"][0]["logprobs"]
        assert told["token_logprobs"][0] is told["top_logprobs"][0] is None
        own = log_p[np.arange(len(ids) - 1), ids[1:]]
        np.testing.assert_allclose(told["token_logprobs"][1:], own, atol=1e-4)
        for place, top in enumerate(told["top_logprobs"][1:]):
            best = sorted(log_p[place])[::-1][:3]
            assert len(top) in (3, 4)
            np.testing.assert_allclose(sorted(top.values())[::-1][:3], best, atol=1e-4)
            is_best = told["token_logprobs"][place + 1] == max(top.values())
            assert is_best == (ids[place + 1] == log_p[place].argmax())
        assert len(told["tokens"]) == len(told["text_offset"]) == len(ids)
        assert told["text_offset"] == sorted(told["text_offset"])


def test_logprobs_without_echo_are_of_what_was_made(server):
    whole = server.complete(prompt="The", max_tokens=5, logprobs=2, echo=True)["choices"][0]["logprobs"]
    made = server.complete(prompt="The", max_tokens=5, logprobs=2)["choices"][0]["logprobs"]
    assert made["tokens"] == whole["tokens"][-5:]
    assert made["token_logprobs"] == whole["token_logprobs"][-5:]
    (alone,) = server.complete(prompt=[5], max_tokens=0, echo=True, logprobs=1)["choices"]
    assert (alone["logprobs"]["token_logprobs"], alone["finish_reason"]) == ([None], "length")
    (nothing,) = server.complete(prompt="The", max_tokens=0)["choices"]
    assert (nothing["text"], nothing["logprobs"]) == ("", None)


def test_a_streamed_echo_comes_first_and_in_whole_lines(server, here):
    prompt = "a\u2028b\u2029c\x85d\x0be\x1cf"
    with server.open(
        "/v1/completions", {"prompt": prompt, "stream": True, "echo": True, "n": 2, "best_of": 2}
    ) as answer:
        lines = [line.removeprefix("data: ") for line in answer.read().decode().splitlines() if line]
    assert lines.pop() == "[DONE]"
    made = ["", ""]
    for line in lines:
        (choice,) = json.loads(line)["choices"]
        made[choice["index"]] += choice["text"]
    assert made == [prompt + text for text in here([prompt, prompt])]


def test_the_field_that_is_wrong_is_named(server):
    for body, param in (
        ({"prompt": "The", "max_tokens": 254}, "max_tokens"),
        ({"prompt": "x" * 300, "max_tokens": 1}, "prompt"),
        ({"prompt": "x" * 300, "max_tokens": 0}, "prompt"),
        ({"prompt": "The", "n": 251}, "n"),
        ({"prompt": ["The"] * 251}, "prompt"),
        ({"prompt": "The", "model": "gpt"}, "model"),
        ({"prompt": "The", "top_p": 2}, "top_p"),
        ({"prompt": "The", "suffix": "x"}, "suffix"),
    ):
        status, answer = server.ask("/v1/completions", body)
        assert (status in (400, 404), answer["error"]["param"]) == (True, param), answer


def test_one_model(server):
    status, model = server.ask(f"/v1/models/{quote(NAME)}")
    assert (status, model["id"], model["object"]) == (200, NAME, "model")
    status, answer = server.ask("/v1/models/a/b")
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (404, "model_not_found", "model")


def test_the_model_and_health(server):
    status, models = server.ask("/v1/models")
    assert (status, [model["id"] for model in models["data"]]) == (200, [NAME])
    assert server.ask("/health") == (200, {"status": "ok", "open": 0})


BAD = {
    "no JSON": (b'{"prompt": ', 400, "the body is not JSON: Expecting value: line 1 column 12"),
    "no UTF-8": (b'{"prompt": "\xff"}', 400, "the body is not UTF-8 at byte 12"),
    "nothing": (b"", 400, "the body is not JSON"),
    "too deep": (b"[" * 100_000, 400, "nested too deeply"),
    "an unpaired surrogate": (b'{"prompt": "a", "\\ud800": 1}', 400, "unknown field"),
    "an array": (b"[]", 400, "the body is not a JSON object"),
    "a long context": ({"prompt": "x" * 300}, 400, "the prompt has 301 tokens; shorten it"),
    "too many tokens": ({"prompt": "The", "max_tokens": 254}, 400, "max_tokens = 254: expected at most 253 after"),
    "too many texts": ({"prompt": "The", "n": 251}, 400, "251 continuations in one request: the limit is 250"),
    "another model": (
        {"prompt": "The", "model": "gpt"},
        404,
        "there is no model 'gpt'; this server has 'a small model'",
    ),
    "1 MB": ({"prompt": "x" * 999_000}, 400, "shorten it: the model's context"),
    "10 MB": ({"prompt": "中" * 3_400_000}, 413, "the body is longer than 1000000 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_answered(server, name):
    body, status, message = BAD[name]
    got, answer = server.ask("/v1/completions", body)
    assert (got, answer["error"]["type"]) == (status, "invalid_request_error")
    assert message in answer["error"]["message"]
    assert server.ask("/health") == (200, {"status": "ok", "open": 0})


def test_other_places(server):
    assert server.ask("/v1/embeddings", {})[0] == 404
    status, answer = server.ask("/v1/completions")
    assert (status, answer["error"]["message"][:41]) == (405, "GET /v1/completions: Method Not Allowed; ")


def test_two_hundred_clients_at_once(server, here):
    alone = here()

    def client(number: int) -> bool:
        prompt = PROMPTS[number % 4]
        if number % 3:
            return texts(server.complete(prompt=prompt)) == [alone[number % 4]]
        pieces = server.stream(prompt=prompt)[:-1]
        return "".join(piece["choices"][0]["text"] for piece in pieces) == alone[number % 4]

    with ThreadPoolExecutor(200) as clients:
        assert all(clients.map(client, range(200)))


def idle(server) -> None:
    """Wait until nothing is open; fails after a time in which what was asked for could not have been made."""
    deadline = time.monotonic() + 3
    while (open := server.ask("/health")[1]["open"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open == 0


def test_a_client_that_goes_away_frees_its_slots(server, here):
    with server.open("/v1/completions", {**LONG, "stream": True}) as response:
        response.readline()
        assert server.ask("/health")[1]["open"] == 240
        status, answer = server.ask("/v1/completions", {"prompt": "The", "n": 20})
        assert (status, answer["error"]["code"]) == (503, "overloaded")
    response.close()
    idle(server)
    assert texts(server.complete(prompt=PROMPTS)) == here()


def test_a_client_that_does_not_wait_for_the_whole_frees_its_slots(server, here):
    body = json.dumps(LONG).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head + body, head + body[:9], head[:9]):  # asked, half asked, hardly begun
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(sent)
            time.sleep(0.3)
    idle(server)
    assert texts(server.complete(prompt=PROMPTS)) == here()


def test_the_client_of_openai(server, here):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [NAME]
    answer = client.completions.create(model=NAME, prompt=PROMPTS, max_tokens=8)
    assert [choice.text for choice in answer.choices] == here()
    assert answer.usage.completion_tokens == 32
    stream = client.completions.create(model=NAME, prompt="中国 12", max_tokens=14, stream=True)
    assert "".join(piece.choices[0].text for piece in stream) == here(["中国 12"], max_tokens=14)[0]
    with pytest.raises(openai.BadRequestError, match="max_tokens = 9999: expected at most"):
        client.completions.create(model=NAME, prompt="The", max_tokens=9999)
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt'"):
        client.completions.create(model="gpt", prompt="The")


def test_a_stop_while_streaming_ends_the_streams(server):
    """The last test: the server is gone after it."""
    streamed = {**LONG, "stream": True, "n": 120}
    with ThreadPoolExecutor(1) as threads, server.open("/v1/completions", streamed) as response:
        whole = threads.submit(server.ask, "/v1/completions", {**LONG, "n": 120})
        first = response.readline()
        while server.ask("/health")[1]["open"] < 240:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        *pieces, error, done = events(first + response.read())
        assert done == "[DONE]"
        assert error["error"]["code"] == "stopping"
        assert pieces
        status, answer = whole.result()
        assert (status, answer["error"]["code"]) == (503, "stopping")
    assert server.process.wait(timeout=10) == 130
    assert time.monotonic() - begun < 5
    assert server.process.stderr.read() == (
        "\nbaichuan-jax: stopping after the requests that are being answered; once more ends it at once\n"
        "\nbaichuan-jax: stopped serving; run the same command to go on\n"
    )
