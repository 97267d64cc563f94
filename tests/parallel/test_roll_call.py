"""The roll call, each process a thread of this one."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from baichuan_jax.core.errors import TryAgain, UserError
from baichuan_jax.parallel import roll_call as module
from baichuan_jax.parallel.caller import Caller, Line, reach
from baichuan_jax.parallel.roll_call import different, roll_call

FACTS = {"OptimConfig.peak_lr": "0.001", "the code": "a1"}


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def hold(*callers):
    """Hold a roll call; return what each process has found, or the error that it has raised.

    callers: a function stands for a process that does something else first.
    """
    with ExitStack() as coordinators, ThreadPoolExecutor(len(callers)) as threads:

        def one(caller):
            try:
                found = caller() if callable(caller) else roll_call(caller)
            except (UserError, TryAgain) as error:
                return error
            if getattr(caller, "number", None) == 0:  # JAX's listens at the port as soon as the roll call has left it
                coordinators.enter_context(socket.create_server(("", caller.port), backlog=caller.count))
            return found

        return list(threads.map(one, callers))


def callers(address, folders, facts=None, patience=10.0, numbers=None):
    facts = facts or {}
    numbers = numbers or range(len(folders))
    return [
        Caller(address, number, len(folders), {**FACTS, **facts.get(number, {})}, folder, patience)
        for number, folder in zip(numbers, folders)
    ]


def test_processes_that_agree_find_their_addresses(address, tmp_path):
    workdir = tmp_path / "run"
    assert hold(*callers(address, [workdir] * 3)) == ["127.0.0.1"] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FACTS)
def test_all_are_told_what_differs(address, tmp_path, name):
    found = hold(*callers(address, [tmp_path] * 3, {2: {name: "other"}}))
    assert {type(error) for error in found} == {UserError}
    assert {str(error) for error in found} == {
        f"the processes of this run differ: {name} is {FACTS[name]} in processes 0, 1 and other in process 2. Start "
        "all of them with the same command, code and files"
    }


def test_what_differs_is_told_by_value():
    assert different({0: {"a": "1", "b": "2"}, 1: {"a": "1", "b": "2"}}) == []
    many = {number: {"a": str(number // 6)} for number in range(12)}
    assert different(many) == ["a is 0 in processes 0, 1, 2, 3, 4, ... and 1 in processes 6, 7, 8, 9, 10, ..."]
    assert different({0: {"a": "1"}, 1: {}}) == ["a is 1 in process 0 and absent in process 1"]


def test_a_workdir_that_is_not_shared_is_refused_by_all(address, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "VISIBLE", 0.2)
    here, there = tmp_path / "here", tmp_path / "there"
    found = hold(*callers(address, [here, here, there]))
    assert {type(error) for error in found} == {UserError}
    [message] = {str(error) for error in found}
    assert f"has written in {here} is not seen by process 2 at {there};" in message
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_that_cannot_be_written_is_told_to_all(address, tmp_path):
    file = tmp_path / "file"
    file.touch()
    what = "RunConfig.workdir = '.*/file/run': no directory"
    found = hold(*callers(address, [file / "run"] * 2))
    assert all(isinstance(error, UserError) and re.match(what, str(error)) for error in found), found


def test_a_process_that_does_not_come_is_named_in_time(address, tmp_path):
    begun = time.monotonic()
    found = hold(*callers(address, [tmp_path] * 4, patience=1.0)[:2])
    assert time.monotonic() - begun < 3
    assert {type(error) for error in found} == {TryAgain}
    assert {str(error).partition(" within")[0] for error in found} == {"processes 2, 3 of 4 have not come"}


@pytest.mark.parametrize(
    ("host", "why"), [("localhost", "process 0 does not listen"), ("none.invalid", "there is no host 'none.invalid'")]
)
def test_a_first_process_that_does_not_come_is_named_in_time(address, tmp_path, host, why):
    address = address.replace("localhost", host)
    _, other = callers(address, [tmp_path] * 2, patience=0.5)
    with pytest.raises(
        TryAgain, match=rf"process 1 of 2 has not reached process 0 at --coordinator {host}:\d+ .*{why}"
    ):
        roll_call(other)


def test_a_port_that_another_program_has_is_named(address, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPLY", 0.1)
    first, other = callers(address, [tmp_path] * 2, patience=0.5)
    port = int(address.partition(":")[2])
    with socket.create_server(("", port)):
        with pytest.raises(TryAgain, match=f"process 0 cannot listen at port {port}"):
            roll_call(first)
        with pytest.raises(TryAgain, match="process 1 of 2 has not reached process 0"):
            roll_call(other)


def test_numbers_are_given_once(address, tmp_path):
    found = hold(*callers(address, [tmp_path] * 3, numbers=[0, 1, 1]))
    assert {str(error) for error in found} == {"two processes have --process 1; each needs a number of its own"}


def test_a_process_that_is_started_again_while_others_are_awaited(address, tmp_path):
    """And whoever says something else at the port."""
    first, other, third = callers(address, [tmp_path] * 3)
    closed = threading.Event()

    def wrong_door():
        reach(other).sendall(b"GET / HTTP/1.1\r\n\r\n")
        gone = Line(reach(other))
        gone.say({"number": 1, "count": 3, "facts": {}, "left": 10})
        gone.close()
        closed.set()
        return roll_call(other)

    def after():
        assert closed.wait(10)
        return roll_call(third)

    assert hold(first, after, wrong_door) == ["127.0.0.1"] * 3
