"""A window of steps under JAX's profiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from baichuan_jax.train.config import ProfileConfig


class Profiler:
    """Traces the steps that the config names into `directory`. A context manager: leaving it ends an open trace.

    start: False in a process that traces nothing: one host of many shows what all of them do.
    """

    def __init__(self, cfg: ProfileConfig, directory: Path, start: bool = True):
        self._first, self._last = cfg.first if start else 0, cfg.first + cfg.steps - 1
        self._directory, self._tracing = directory, False

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Mark what is dispatched inside the block as a step."""
        if number == self._first:
            jax.profiler.start_trace(self._directory)
            self._tracing = True
        with jax.profiler.StepTraceAnnotation("train", step_num=number):
            yield

    def after(self, number: int, values: Any) -> None:
        """End the trace after its last step, whose `values` are waited for."""
        if self._tracing and number == self._last:
            jax.block_until_ready(values)
            self.__exit__()
