"""A worker process: it runs tasks sent by its driver, one by one, and ends when the driver does.

It is a separate program, so that it never loads jax. A forked process would inherit jax from the driver, and
`multiprocessing` would import the driver's main module.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from baichuan_jax.jobs.task_outcome import Failure, run_task


def main() -> None:
    """Serve the driver at the other end of a pipe, whose file descriptor is the only argument.

    A message is (pickled phase, or None to reuse the previous phase; number of the task). The answer is the outcome.
    """
    driver, received = Connection(int(sys.argv[1])), SimpleQueue()
    threading.Thread(target=_receive, args=(driver, received), daemon=True).start()
    phase = None
    while True:
        pickled, number = received.get()
        try:
            phase = pickle.loads(pickled) if pickled else phase
            end = run_task(phase, number)
        except Exception as error:  # the phase cannot be unpickled
            end = Failure.of(error)
        driver.send(end)


def _receive(driver: Connection, received: SimpleQueue) -> None:
    """Receive messages in a separate thread, so that the end of the driver is noticed while a task runs."""
    try:
        while True:
            received.put(driver.recv())
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # this process leads a group, so its children end too


if __name__ == "__main__":
    main()
