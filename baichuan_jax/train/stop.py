"""Stopping, and checkpoints on request, between two steps; of several processes between the same two."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from jax.experimental import multihost_utils

from baichuan_jax.core.interrupt import finishing, may_handle_signals, stop_on_signal

AFTER = "the next step and its checkpoint"


@contextmanager
def stop_between_steps() -> Iterator[Callable[[int], bool]]:
    """Yield asked(step): whether training is to stop after this step. To be called once a step.

    One process stops at the first Ctrl-C or SIGTERM. Of several, one that is asked tells the others: JAX watches for
    SIGTERM and finds a step that none of them is past.
    """
    if jax.process_count() == 1:
        with stop_on_signal(AFTER) as stop:
            yield lambda step: stop.requested
        return
    if not may_handle_signals():
        yield multihost_utils.reached_preemption_sync_point
        return

    def ask(number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler)  # the second acts at once
        os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.signal(signal.SIGINT, ask)
    try:
        with finishing(AFTER):
            yield multihost_utils.reached_preemption_sync_point
    finally:
        signal.signal(signal.SIGINT, previous)


class Request:
    """Whether a checkpoint has been asked for."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        """Ask for a checkpoint after the running step."""
        self._asked = True

    def take(self) -> bool:
        """Return whether one was asked for since the last call."""
        asked, self._asked = self._asked, False
        return asked


@contextmanager
def checkpoint_on_signal() -> Iterator[Request]:
    """Take SIGUSR1 for a request of a checkpoint, where signals are ours."""
    request = Request()
    if not may_handle_signals():
        yield request
        return
    previous = signal.signal(signal.SIGUSR1, request.ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGUSR1, previous)
