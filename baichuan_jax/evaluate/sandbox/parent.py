"""Run an untrusted program in a sandbox: no network, no files, bounded resources.

The sandbox is made of Linux namespaces, resource limits and a seccomp filter; none needs root. If one of them is not
available, nothing is run. The program sees the interpreter's libraries, read-only, and an empty scratch folder.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.interrupt import unwinding

ROOT = Path(__file__).parents[3]
START = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from baichuan_jax.evaluate.sandbox.child.main import main; main()"
)
SETUP_SECONDS = 30.0
PASSED = "passed"
HEAD = 2000  # characters of the output that are kept


@dataclass(frozen=True)
class Limits:
    """Resource limits of a program. seconds: wall time. memory: bytes of each process. processes: at a time, threads
    included. disk: bytes of the scratch folder, which is in memory. output: bytes written.

    The total memory is bounded by processes * memory + disk.
    """

    seconds: float = 5.0
    memory: int = 512 * 2**20
    processes: int = 4
    disk: int = 16 * 2**20
    output: int = 2**20

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require(value > 0, f"Limits.{name}", value, "a number above 0")


@dataclass(frozen=True)
class Verdict:
    """passed: whether the program reached its end. reason: "passed", or why not, as printable text. output: the first
    characters of its raw output; do not print them to a terminal.
    """

    passed: bool
    reason: str
    output: str


def run_program(program: str, limits: Limits, tests: str = "") -> Verdict:
    """Run untrusted Python source in the sandbox; it passes if its end was reached.

    tests: source that is trusted to test the program, but sandboxed too. It runs in its own process, in which the names
    that the program defines exist, and decides the verdict. Calls of the program's functions go through a pipe, with
    plain data as arguments and results, so nothing the program does to its own interpreter makes a test pass. Without
    tests, exit codes and output are not believed either, but a program written against this sandbox could claim an end
    that it did not reach.

    May be called from several threads. Raise UserError if this machine cannot provide the sandbox.
    """
    if sys.platform != "linux":
        raise UserError(f"the sandbox needs Linux; this platform is {sys.platform}")
    settings = {**asdict(limits), "cpu": math.ceil(limits.seconds) + 1, "tested": bool(tests)}
    parts = [part.encode(errors="surrogatepass") for part in (json.dumps(settings), program, tests)]
    report, said = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-u", "-c", START, str(said), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={},
        cwd="/",
        pass_fds=(said,),
        start_new_session=True,
    )
    os.close(said)
    try:
        with unwinding():
            with suppress(BrokenPipeError), process.stdin:  # it says why
                process.stdin.write(b"".join(struct.pack("=Q", len(part)) + part for part in parts))
            return _listen(report, process.stdout.fileno(), limits)
    finally:
        _kill(process)
        process.stdout.close()
        os.close(report)


def _kill(process: subprocess.Popen) -> None:
    """End the guard and the first process, which are one group; the kernel ends all others with the latter."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _listen(report: int, output: int, limits: Limits) -> Verdict:
    """Collect the output of the program until its verdict is known."""
    written, ready, deadline = bytearray(), False, time.monotonic() + SETUP_SECONDS
    reason, lines = "", _lines(report)
    with selectors.DefaultSelector() as selector:
        selector.register(report, selectors.EVENT_READ)
        selector.register(output, selectors.EVENT_READ)
        while not reason:
            events = {key.fd for key, _ in selector.select(max(deadline - time.monotonic(), 0))}
            if output in events:
                data = os.read(output, 65536)
                written += data
                if not data:
                    selector.unregister(output)
            # What was written before the end was said belongs to it; nothing was written before "ready" was said.
            if report in events and not (ready and output in events):
                said = next(lines)
                if "failed" in said:
                    raise UserError(
                        f"the sandbox is not available on this machine ({said['failed']}); no program was run"
                    )
                if "ready" in said:
                    ready, deadline = True, time.monotonic() + limits.seconds
                else:
                    reason = _reason(said)
            if len(written) > limits.output:
                reason = f"wrote more than {limits.output} bytes"
            elif not reason and time.monotonic() > deadline:
                reason = f"out of time ({limits.seconds:g} s)"
    text = bytes(written).decode(errors="replace")
    if not ready:
        raise UserError(f"the sandbox did not start: {text[-HEAD:].strip() or 'no answer'}")
    return Verdict(reason == PASSED, reason, text[:HEAD])


def _lines(report: int) -> Iterator[dict[str, Any]]:
    """Yield the reports of the first process, line by line; then {}, after it has ended."""
    with open(report, "rb", closefd=False, buffering=0) as file:
        while line := file.readline():
            yield json.loads(line)
    yield {}


def _reason(said: dict[str, Any]) -> str:
    if "passed" in said:
        return PASSED
    if "raised" in said:
        return f"raised {printable(said['raised'])}"
    if not said:
        return "killed from outside"
    code = os.waitstatus_to_exitcode(said["status"])
    if code >= 0:
        return f"ended before its last line (exit code {code})"
    number = -code
    return f"killed by {signal.Signals(number).name if number in set(signal.Signals) else f'signal {number}'}"


def printable(text: str) -> str:
    """Return text with control characters and other non-printable characters escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
