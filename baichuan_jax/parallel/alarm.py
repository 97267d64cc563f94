"""A process that fails tells the others, so that all end at once, for the same reason and with the same exit code.

Without that the others would wait for it in a computation until JAX's heartbeat is missed, and abort.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress

import jax
from jax._src import distributed

LISTEN = 600_000  # milliseconds of one wait for an alarm
GRACE = 2.0  # seconds in which a process that hears an alarm may come to its end by itself
LEAVING = 1.0  # seconds that take a process from the last it says to its end


class Alarm:
    """The alarms among the processes of a run. JAX's coordinator passes them on.

    code, message: of the first alarm that was heard; code is 0 before.
    """

    def __init__(self, number: int, count: int):
        self._number, self._count = number, count
        self._client = distributed.global_state.client
        self.code, self.message = 0, ""
        self._heard, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="alarm", daemon=True)
        self._thread.start()

    def raise_for_all(self, code: int, message: str) -> None:
        """Tell all others that this process ends; the first waits until they are about to end as well, or long enough.

        JAX aborts a process that outlives the first.
        """
        self._ending.set()
        text = json.dumps([code, f"process {self._number} of {self._count}: {message}"])
        others = [number for number in range(self._count) if number != self._number]
        with suppress(jax.errors.JaxRuntimeError):
            for other in others:
                with suppress(jax.errors.JaxRuntimeError):  # it has another alarm already
                    self._client.key_value_set(f"alarm/{other}", text)
            self._say_leaving()
            if self._number == 0:  # the coordinator is in this process
                for other in others:
                    self._client.blocking_key_value_get(f"alarm leaving/{other}", int(2000 * GRACE))
                time.sleep(LEAVING)

    def heard(self, seconds: float = GRACE) -> bool:
        """Return whether there is an alarm, after a wait for it: this process has failed, and ends by itself."""
        self._ending.set()
        return self._heard.wait(seconds)

    def close(self) -> None:
        """Listen no more."""
        with suppress(jax.errors.JaxRuntimeError):  # an alarm is there
            self._client.key_value_set(f"alarm/{self._number}", json.dumps([0, ""]))
        self._thread.join()

    def _listen(self) -> None:
        while True:
            try:
                text = self._client.blocking_key_value_get(f"alarm/{self._number}", LISTEN)
                break
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    return  # the coordinator is gone; JAX ends this process
        self.code, self.message = json.loads(text)
        if not self.code:
            return
        self._heard.set()
        by_itself = self._ending.wait(GRACE)
        self._say_leaving()
        if not by_itself:  # it is in a computation that nobody will finish
            self._end()

    def _say_leaving(self) -> None:
        with suppress(jax.errors.JaxRuntimeError):  # it is said already
            self._client.key_value_set(f"alarm leaving/{self._number}", "")

    def _end(self) -> None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os.write(2, f"\nbaichuan-jax: {self.message}\n".encode())  # past Python's buffers, whose lock may be held
        os._exit(self.code)
