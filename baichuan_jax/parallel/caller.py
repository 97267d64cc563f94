"""A process on its way to the others of its run: where it goes, how long it waits, and what it says there."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import TryAgain

PAUSE = 0.1  # seconds between two attempts
LONGEST = 2**24  # bytes of a line


@dataclass(frozen=True)
class Caller:
    """A process at the roll call.

    address: HOST:PORT of the first process. number, count: of this process, and how many there are. facts: what all of
    them must have alike, {name: value}. workdir: the directory that all of them must see. patience: seconds in which
    all of them have to come.
    """

    address: str
    number: int
    count: int
    facts: Mapping[str, str]
    workdir: Path
    patience: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def host(self) -> str:
        """Return the host of the first process."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port of the first process."""
        return int(self.address.rpartition(":")[2])

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self.begun + self.patience - time.monotonic()


class Line:
    """A connection that carries a JSON value a line."""

    def __init__(self, connection: socket.socket):
        self.connection, self._file = connection, connection.makefile("rb")

    def say(self, value: Any) -> None:
        self.connection.sendall(json.dumps(value).encode() + b"\n")

    def hear(self, seconds: float) -> dict[str, Any]:
        """Return what the other end says next. Raise OSError or ValueError if it says nothing of the kind."""
        self.connection.settimeout(max(seconds, 0.01))
        found = json.loads(self._file.readline(LONGEST))
        if not isinstance(found, dict):
            raise ValueError(found)
        return found

    def is_open(self) -> bool:
        """Return whether the other end is there still; it has nothing to say now."""
        self.connection.settimeout(0)
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        self._file.close()
        self.connection.close()


def reach(caller: Caller) -> socket.socket:
    """Return a connection to the first process. Raise TryAgain if there is none in time."""
    while True:
        try:
            return socket.create_connection((caller.host, caller.port), timeout=max(caller.left, PAUSE))
        except socket.gaierror as error:
            why = f"there is no host {caller.host!r} ({error.strerror})"
        except OSError as error:
            why = f"process 0 does not listen at {caller.address} ({error.strerror or 'no answer'})"
        if caller.left < PAUSE:
            raise TryAgain(silent(caller, why))
        time.sleep(PAUSE)


def silent(caller: Caller, why: str) -> str:
    """Return what to say where the first process is not reached."""
    return (
        f"process {caller.number} of {caller.count} has not reached process 0 at --coordinator {caller.address} within "
        f"{caller.patience:.0f} s (--heartbeat): {why}"
    )
