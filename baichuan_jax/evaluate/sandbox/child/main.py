"""The processes around one program: a guard, the first process of the sandbox, the program, and its tests.

The guard is a child of the parent process and only waits. The first process of the new PID namespace sets everything
up, starts the others, and reports how they ended. When it exits, the kernel kills all processes inside. It alone holds
the descriptor of the trusted report.

A token proves that the end was reached: only there the process requests the token, which is random, and repeats it.
Exit codes and output prove nothing. With tests, their process gives the proof, and the program cannot. Without tests, a
program that knows this code and finds two descriptors can fake the proof, as it runs in the interpreter that gives it.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import select
import signal
import struct
import sys
import traceback
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from baichuan_jax.evaluate.sandbox.child import calls, namespaces, seccomp

ASK, RAISED = b"?", b"!"
OPEN = 64  # descriptors of a process
QUEUED = 64  # signals that wait for all its processes, and timers that may send some
OURS = sys.path[0]  # where this file was found, before the program comes


def main() -> None:
    """Read a job from standard input; write "ready" and then the outcome to the descriptor of argv[1].

    The job: limits as JSON, the program, its tests; each is preceded by its length. argv[2]: process id of the parent.
    """
    given, parent = map(int, sys.argv[1:])
    report = os.dup(given)  # a low one, of those that are closed before the program comes
    os.close(given)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    namespaces.die_with_parent()
    if os.getppid() != parent:
        return
    limits = json.loads(_read())
    try:
        namespaces.leave()
        if first := os.fork():
            os.waitpid(first, 0)
            return
        namespaces.build_root(limits["disk"])
        namespaces.become_nobody()
        namespaces.die_with_parent()  # of no effect before
        _limit(limits)
        namespaces.drop_capabilities()
        seccomp.deny()
    except OSError as error:
        _say(report, {"failed": str(error)})
        os._exit(1)
    _say(report, {"ready": True})
    _say(report, _start(limits["tested"]))
    os._exit(0)


def _read() -> str:
    """Return the next part of the job. Read no byte beyond it, as not every process may see the rest."""
    data = b""
    (left,) = struct.unpack("=Q", os.read(0, 8))
    while left > len(data):
        data += os.read(0, left - len(data))
    return data.decode()


def _say(report: int, what: dict[str, Any]) -> None:
    os.write(report, f"{json.dumps(what)}\n".encode())


def _limit(limits: dict[str, Any]) -> None:
    """Set the limits that processes inherit."""
    for name, value in (
        ("AS", limits["memory"]),
        ("CORE", 0),
        ("CPU", limits["cpu"]),
        ("FSIZE", limits["disk"]),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
        ("NOFILE", OPEN),
        ("NPROC", limits["processes"] + 3),  # the guard, the first, the tests
        ("SIGPENDING", QUEUED),
    ):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _start(tested: bool) -> dict[str, Any]:
    """Start the program, and its tests if the job has them; return how it ended."""
    (asked, ask), (told, tell) = os.pipe(), os.pipe()
    program = _read()
    if not tested:
        child = _fork(lambda: _prove(lambda: _define("program", program, {}), ask, told), ask, told)
    else:
        (requests, request), (replies, reply) = os.pipe(), os.pipe()
        serve = lambda: calls.answer(
            lambda: _define("program", program, {}), os.fdopen(requests, "rb"), os.fdopen(reply, "wb")
        )
        _fork(serve, requests, reply)
        os.close(reply)  # so that tests hear of its end
        tests = _read()
        test = lambda: _define("tests", tests, calls.names_of(os.fdopen(request, "wb"), os.fdopen(replies, "rb")))
        child = _fork(lambda: _prove(test, ask, told), ask, told, request, replies)
    os.close(ask)
    return _watch(child, asked, tell)


def _fork(run: Callable[[], Any], *kept: int) -> int:
    """Fork a child that runs this and exits, with only these descriptors and those of its output; return its id."""
    child = os.fork()
    if child:
        return child
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor in set(range(3, OPEN)) - set(kept):
        with suppress(OSError):
            os.close(descriptor)
    try:
        run()
    except SystemExit as stop:
        os._exit(stop.code if isinstance(stop.code, int) else bool(stop.code))
    except BaseException as error:
        place = error.__traceback__
        while place and place.tb_frame.f_code.co_filename not in ("program", "tests"):
            place = place.tb_next  # ours says nothing
        traceback.print_exception(error.with_traceback(place))
    os._exit(1)


def _define(name: str, source: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run source as the main module with these names; return its names."""
    os.environ.clear()
    os.environ.update(HOME=namespaces.SCRATCH, TMPDIR=namespaces.SCRATCH, LANG="C.UTF-8")
    sys.path = [path for path in sys.path if path != OURS]
    sys.argv = [name]
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    vars(module).update(names)
    exec(compile(source, name, "exec"), vars(module))
    return vars(module)


def _prove(run: Callable[[], Any], ask: int, told: int) -> None:
    """Run a function, then prove that it reached its end, or report what it raised."""
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:
        text = traceback.format_exception_only(error)[-1].strip()[:200]
        os.write(ask, RAISED + text.encode(errors="replace"))
        raise
    os.write(ask, ASK)
    os.write(ask, os.read(told, 64))


def _watch(child: int, asked: int, tell: int) -> dict[str, Any]:
    """Return {"passed": True} if the child proves it, {"raised": text} if reported, or {"status": of waitpid}."""
    token, ended, heard = secrets.token_hex(16).encode(), os.pidfd_open(child), b""
    while select.select([asked, ended], [], [])[0] != [ended]:
        if not (part := os.read(asked, 4096)) or len(heard) > 4096:  # longer than anything that is said there
            break
        heard += part
        if heard == ASK:
            os.write(tell, token)
        elif heard == ASK + token:
            return {"passed": True}
        elif heard.startswith(RAISED) and len(heard) > 1:
            os.waitpid(child, 0)  # its traceback is still to come
            return {"raised": heard[1:].decode(errors="replace")}
    return {"status": os.waitpid(child, 0)[1]}
