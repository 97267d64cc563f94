"""The process that runs one program, from the outside in: a guard, the first process of the sandbox, the program.

The guard is a child of ours and waits. The first process of the new process namespace sets everything up, starts the
program, and says how it ended; when it ends, the kernel kills whatever is left inside. It alone holds the descriptor on
which we believe what is said.

That the program came to its end is proven by an answer: only then does the program's process ask for a token, which
is made for the occasion, and repeat it. Exit codes and output prove nothing. A program that knows these lines and finds
the two descriptors can still claim an end it did not reach: it runs in the interpreter that makes the claim.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import select
import signal
import sys
import traceback
import types
from typing import Any, NoReturn

from baichuan_jax.evaluate.contained import namespaces, seccomp

ASK, RAISED = b"?", b"!"


def main() -> None:
    """Reads a job from standard input; says "ready" on the descriptor of argv[1] and, in the end, how it ended."""
    report, parent = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    namespaces.die_with_parent()
    if os.getppid() != parent:
        return
    job = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        namespaces.leave()
        if first := os.fork():
            os.waitpid(first, 0)
            return
        namespaces.build_root(job["disk"])
        namespaces.become_nobody()
        namespaces.die_with_parent()  # of no effect before
        _limit(job)
        namespaces.drop_capabilities()
        seccomp.deny()
    except OSError as error:
        _say(report, {"failed": str(error)})
        os._exit(1)
    _say(report, {"ready": True})
    _say(report, _watch(job["program"], report))
    os._exit(0)


def _say(report: int, what: dict[str, Any]) -> None:
    os.write(report, f"{json.dumps(what)}\n".encode())


def _limit(job: dict[str, Any]) -> None:
    """Sets the limits that processes inherit."""
    for name, value in (
        ("AS", job["memory"]),
        ("CORE", 0),
        ("CPU", job["cpu"]),
        ("FSIZE", job["disk"]),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
        ("NOFILE", 64),
        ("NPROC", job["processes"] + 2),  # the guard and the first
    ):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _watch(program: str, report: int) -> dict[str, Any]:
    """Runs the program in a child; returns {"passed": True}, {"raised": text} or {"status": of waitpid}."""
    token = secrets.token_hex(16).encode()
    (asked, ask), (told, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        for descriptor in (report, asked, tell):
            os.close(descriptor)
        _run(program, ask, told)
    os.close(ask)
    os.close(told)
    ended = os.pidfd_open(child)
    heard = b""
    while select.select([asked, ended], [], [])[0] != [ended]:
        if not (part := os.read(asked, 4096)):
            break
        heard += part
        if heard == ASK:
            os.write(tell, token)
        elif heard == ASK + token:
            return {"passed": True}
        elif heard.startswith(RAISED) and len(heard) > 1:
            return {"raised": heard[1:].decode(errors="replace")}
    return {"status": os.waitpid(child, 0)[1]}


def _run(program: str, ask: int, told: int) -> NoReturn:
    """Runs the program to its end in this process, and proves it."""
    os.environ.clear()
    os.environ.update(HOME=namespaces.SCRATCH, TMPDIR=namespaces.SCRATCH, LANG="C.UTF-8")
    del sys.path[0]  # ours
    sys.argv = ["program"]
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    try:
        exec(compile(program, "program", "exec"), vars(module))
        os.write(ask, ASK)
        os.write(ask, os.read(told, 64))
    except SystemExit as stop:
        os._exit(stop.code if isinstance(stop.code, int) else 1)
    except BaseException as error:
        traceback.print_exc()
        os.write(ask, RAISED + traceback.format_exception_only(error)[-1].strip()[:200].encode(errors="replace"))
    os._exit(1)
