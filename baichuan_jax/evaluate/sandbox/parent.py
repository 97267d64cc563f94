"""Running a program that nobody has read: a process with no network, no files, and little of everything else.

Linux namespaces, limits of resources and a filter of system calls contain it; none needs root. Where they
cannot be had, nothing is run. It sees the interpreter's libraries, read-only, and an empty scratch folder in memory.
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

ROOT = Path(__file__).parents[3]
START = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from baichuan_jax.evaluate.sandbox.child.main import main; main()"
)
SETUP_SECONDS = 30.0
PASSED = "passed"
HEAD = 2000  # characters of the output that are kept


@dataclass(frozen=True)
class Limits:
    """What a program may use. seconds: from start to end, waiting included. memory: bytes of each process. processes:
    at a time, threads too. disk: bytes of the scratch folder, which is memory. output: bytes written.

    So all together it may take processes * memory + disk.
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
    """passed: whether the program came to its end. reason: why not, or "passed", all of it printable. output: the
    first of what it wrote, as it wrote it: not for a terminal.
    """

    passed: bool
    reason: str
    output: str


def run_program(program: str, limits: Limits, tests: str = "") -> Verdict:
    """Run Python source that nobody vouches for, contained; it passes if its end was reached.

    tests: source that is trusted to test it, if not to do no harm: it runs in a process of its own, in which the names
    that the program defines are there, and passes for both. Its calls of the program's functions go through a pipe:
    arguments and results are plain data, and nothing the program does to its own interpreter makes a test pass. Without
    tests, exit codes and output prove nothing either, but a program that was written against this very sandbox could
    claim an end that it did not reach.

    May be called from several threads. Raise UserError where this machine cannot contain a program.
    """
    if sys.platform != "linux":
        raise UserError(f"programs are contained by Linux's means; this is {sys.platform}: use a machine with Linux")
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
    """Collect what the program writes until it is known how it ended."""
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
            if report in events and output not in events:  # what was written before the end was said belongs to it
                said = next(lines)
                if "failed" in said:
                    raise UserError(f"this machine cannot contain programs ({said['failed']}), so none is run")
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
    """Yield what the first process says, read line by line; {} where it has gone without a word."""
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
    """Return text in which what moves a terminal's cursor, or hides what stands there, is written as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
