"""The server as its clients see it: a process, sockets, and whatever may come through them."""

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from baichuan_jax.generate.config import SampleConfig
from baichuan_jax.generate.generate import generate
from tests.generate.serving import events, serving, write_config

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
    """Returns the texts that the engine gives in this process."""

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
    assert answer["model"] == "random"
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
    made, ends = [""] * 4, [[] for _ in range(4)]
    for piece in pieces:
        (choice,) = piece["choices"]
        made[choice["index"]] += choice["text"]
        ends[choice["index"]].append(choice["finish_reason"])
    assert made == here(max_tokens=14)
    assert len(pieces) > 8
    assert all(each == [None] * (len(each) - 1) + [each[-1]] and each[-1] for each in ends)
    assert len({piece["id"] for piece in pieces}) == 1


def test_the_model_and_health(server):
    status, models = server.ask("/v1/models")
    assert (status, [model["id"] for model in models["data"]]) == (200, ["random"])
    assert server.ask("/health") == (200, {"status": "ok", "open": 0})


BAD = {
    "no JSON": (b'{"prompt": ', 400, "the body is not JSON: Expecting value: line 1 column 12"),
    "no UTF-8": (b'{"prompt": "\xff"}', 400, "the body is not UTF-8 at byte 12"),
    "nothing": (b"", 400, "the body is not JSON"),
    "too deep": (b"[" * 100_000, 400, "nested too deeply"),
    "an array": (b"[]", 400, "the body is not an object"),
    "a long context": ({"prompt": "x" * 300}, 400, "expected a shorter prompt than one of 301 tokens"),
    "too many tokens": ({"prompt": "The", "max_tokens": 254}, 400, "max_tokens = 254: expected at most 253 after"),
    "too many texts": ({"prompt": "The", "n": 251}, 400, "251 continuations in one request: at most 250"),
    "another model": ({"prompt": "The", "model": "gpt"}, 404, "there is no model 'gpt'; this one is 'random'"),
    "1 MB": ({"prompt": "x" * 999_000}, 400, "expected a shorter prompt than one of"),
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
    assert server.ask("/v1/chat/completions", {})[0] == 404
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
    """Waits until nothing is open; fails after a time in which what was asked for could not have been made."""
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
    assert [model.id for model in client.models.list()] == ["random"]
    answer = client.completions.create(model="random", prompt=PROMPTS, max_tokens=8)
    assert [choice.text for choice in answer.choices] == here()
    assert answer.usage.completion_tokens == 32
    stream = client.completions.create(model="random", prompt="中国 12", max_tokens=14, stream=True)
    assert "".join(piece.choices[0].text for piece in stream) == here(["中国 12"], max_tokens=14)[0]
    with pytest.raises(openai.BadRequestError, match="max_tokens = 9999: expected at most"):
        client.completions.create(model="random", prompt="The", max_tokens=9999)
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
    assert server.process.stderr.read() == "\nbaichuan-jax: stopped serving; run the same command to go on\n"
