"""A checkpoint's own template: code that nobody here has read, so a process of its own renders it, within limits."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baichuan_jax.chat.jinja import Message
from baichuan_jax.core.errors import UserError

ROOT = Path(__file__).parents[2]
SETUP_SECONDS = 60.0  # the interpreter and Jinja start within it, on a machine with other work too


@dataclass(frozen=True)
class Limits:
    """seconds: processor time of a rendering. wall: its wall time. memory: of the process. characters: of a text."""

    seconds: int = 2
    wall: float = 20.0
    memory: int = 512 * 2**20
    characters: int = 2**23


class ForeignTemplate:
    """A template in a child process, which starts when it is first needed. Serves one thread at a time."""

    def __init__(self, name: str, text: str, variables: Mapping[str, Any], limits: Limits | None = None):
        """name: where the template is, for messages."""
        self._name, self._limits = name, limits or Limits()
        self._job = {"template": text, "variables": dict(variables), **asdict(self._limits)}
        self._process: subprocess.Popen | None = None
        self._end: Callable[[], object] = lambda: None

    def __call__(self, messages: Sequence[Message], generate: bool) -> str:
        """Return a conversation as text. Raise UserError if the template fails, or exceeds a limit."""
        if self._process is None:
            self._process = _start()
            self._end = weakref.finalize(self, _kill, self._process)
            try:
                self._ask(self._job, SETUP_SECONDS)
            except UserError:
                self._stop()
                raise
        return self._ask({"messages": list(messages), "generate": generate}, self._limits.wall)

    def _ask(self, line: dict[str, Any], seconds: float) -> str:
        with suppress(BrokenPipeError):  # its end is told below
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
        data, timely = _line(self._process.stdout.fileno(), seconds)
        if data.endswith(b"\n"):
            answer = json.loads(data)
            if "text" in answer:
                return answer["text"]
            why = answer["error"]
        else:
            process = self._process
            self._stop()
            why = self._ending(process.returncode) if timely else f"it takes more than {seconds:g} seconds"
        raise UserError(f"the chat template of {self._name} fails: {why}; ChatConfig.template names another")

    def _stop(self) -> None:
        self._end()
        self._process = None

    def _ending(self, code: int) -> str:
        """Return why the process has ended before it was asked to."""
        if code == -signal.SIGXCPU:
            return f"it takes more than {self._limits.seconds} seconds of processor time"
        return f"its process ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _start() -> subprocess.Popen:
    """Return a child with nothing of this process's environment."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "baichuan_jax.chat.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": str(ROOT)},
        start_new_session=True,  # a Ctrl-C at the terminal is for the parent
    )


def _line(output: int, seconds: float) -> tuple[bytes, bool]:
    """Return what is written up to a line end, and whether that or the end of the output came in time."""
    data, deadline = bytearray(), time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while selector.select(max(deadline - time.monotonic(), 0)):
            part = os.read(output, 2**20)
            data += part
            if not part or data.endswith(b"\n"):
                return bytes(data), True
    return b"", False


def _kill(process: subprocess.Popen) -> None:
    process.kill()  # which does nothing once it has ended, and its exit code is known
    process.wait()
    process.stdout.close()
    with suppress(BrokenPipeError):
        process.stdin.close()
