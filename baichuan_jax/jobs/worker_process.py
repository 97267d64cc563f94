"""A worker: a process that runs the tasks its driver sends, one after the other, and dies with the driver.

It is started as a program of its own, neither forked nor by `multiprocessing`, which would import the driver's main
module: a driver may have loaded jax, and a worker never does.
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

    Gets (a phase, pickled, or None for that of the task before; number), answers with the outcome.
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
    """Receives beside the task that runs, so that the end of the driver is noticed at once."""
    try:
        while True:
            received.put(driver.recv())
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the driver started this process as a group, for its children too


if __name__ == "__main__":
    main()
