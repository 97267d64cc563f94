"""What the train loop writes down, read from the devices one step late so that they never wait for the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax
import numpy as np
import optax

from baichuan_jax.core.goodput import STEP
from baichuan_jax.core.metrics import Metrics
from baichuan_jax.train.batch_hashes import BatchHashes
from baichuan_jax.train.config import TrainConfig
from baichuan_jax.train.finite import Watch
from baichuan_jax.train.hooks import Hooks, Record
from baichuan_jax.train.spikes import Detector
from baichuan_jax.train.throughput import Meter


class StepLog:
    """Writes a record every `log_every` steps and for every evaluation; hands each to the hooks as well.

    Whatever it does may raise Diverged.

    detector: of spikes. metrics: of the run; None in a process that does not write them. hashes: are written as often
    as anything is read. domains: names of the domains that the step sums the loss for.
    """

    def __init__(
        self,
        cfg: TrainConfig,
        rate: optax.Schedule,
        meter: Meter,
        metrics: Metrics | None,
        hashes: BatchHashes,
        hooks: Hooks,
        detector: Detector | None,
        domains: Sequence[str],
    ):
        self._cfg, self._rate, self._meter, self._metrics, self._hooks = cfg, rate, meter, metrics, hooks
        self._domains, self._hashes = domains, hashes
        self._pending: Record | None = None
        self._watch = Watch(detector)

    def step(self, step: int, values: dict[str, jax.Array]) -> None:
        """Note a step that has been dispatched; its numbers are read at the next call."""
        self._flush()
        self._watch.add(step, values)
        self._meter.add(self._cfg.batch * self._cfg.length)
        if step % self._cfg.log_every == 0 or step == self._cfg.steps:
            self._pending = {"step": step, **values, "learning_rate": self._rate(step - 1)}

    @contextmanager
    def pause(self, phase: str) -> Iterator[None]:
        """Finishes what is pending; the time inside the block is that of a phase, and does not count as training."""
        with self._hooks.phases.of(STEP):
            self._flush()
            self._watch.look()
            self._hashes.write()
        with self._meter.pause(), self._hooks.phases.of(phase):
            yield
        self._hooks.phases.write()

    def validation(self, step: int, bits_per_byte: dict[str, float]) -> None:
        """Write an evaluation and its mean over the domains; without any held-out text there is none."""
        if not bits_per_byte:
            return
        mean = float(np.mean(list(bits_per_byte.values())))
        self._write({"step": step, "validation": bits_per_byte, "validation_mean": mean})

    def _flush(self) -> None:
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        self._watch.look()
        self._hashes.write()
        scalars = {key: float(pending[key]) for key in ("loss", "grad_norm", "learning_rate")}
        record = {"step": pending["step"], **scalars, **self._meter.read()}
        if self._domains:
            sums = zip(self._domains, np.asarray(pending["domain_nll"]), np.asarray(pending["domain_count"]))
            record["domain_loss"] = {name: float(nll / count) for name, nll, count in sums if count}
        self._write(record)

    def _write(self, record: Record) -> None:
        if self._metrics is not None:
            self._metrics.write(record)
        self._hooks.report(record)
