"""Writing checkpoints in the background, whole or absent: one that cannot be written is told, and training goes on."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from baichuan_jax.core.checksums import sync_directory, write_manifest
from baichuan_jax.core.disk import mendable_writes, trouble_in_words
from baichuan_jax.core.interrupt import stop_on_signal
from baichuan_jax.parallel.runtime_errors import is_of_runtime
from baichuan_jax.train.agreement import texts_of_all
from baichuan_jax.train.checkpoint import ABOUT
from baichuan_jax.train.config import RetentionConfig, checkpoint_steps
from baichuan_jax.train.meeting import FailedElsewhere, Meeting
from baichuan_jax.train.quiet import ignore_leftovers, quiet
from baichuan_jax.train.retention import surplus
from baichuan_jax.train.state import TrainState

CHUNK_BYTES = 2**25  # parameters are read by whole chunks: small ones let an export read a part of a matrix alone
PARTIAL, REMOVED = ".partial", ".removed"  # suffixes of what is no checkpoint yet, or no longer
PATIENCE = 60.0  # seconds that training waits for the checkpoint before, until it does without one
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds after a failure until the next attempt, which double
LAST_ATTEMPTS = 4  # for a state that no later step will replace


class CheckpointWriter:
    """Writes the checkpoints of one run. A context manager: leaving waits for the last write.

    A checkpoint is written as STEP.partial, with a manifest of all its files, and then renamed; so whatever has a name
    that is a step is whole. All processes call the same methods at the same steps.
    """

    def __init__(self, directory: Path, keep: int, retention: RetentionConfig | None = None):
        """keep: how many of the newest checkpoints stay. retention: which stay beside them, for good."""
        self._directory, self._keep = directory.absolute(), keep
        self._retention = retention or RetentionConfig()
        self._first = jax.process_index() == 0
        with mendable_writes("checkpoints", self._directory):
            if self._first:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._clear()
        multihost_utils.sync_global_devices("directory of checkpoints")
        ignore_leftovers()
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # what orbax logs as an error, it raises too
        self._meeting = Meeting()
        self._orbax = self._checkpointer()
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        self._news: SimpleQueue[str] = SimpleQueue()
        self._failures, self._try_again = 0, 0.0  # in a row; when to try again
        self._step, self._written = 0, -1  # of the last checkpoint that was begun, and of the last that is whole
        self._announced = False  # whether to say that it is written
        self._error: Exception  # why the last save failed

    def _checkpointer(self) -> ocp.AsyncCheckpointer:
        with quiet():
            options = ocp.AsyncOptions(barrier_sync_fn=self._meeting)
            return ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler(), async_options=options)

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        lost = is_of_runtime(error) and jax.process_count() > 1
        if lost:  # to close is to wait for the other processes
            return
        saving = self._pending is not None and not self._pending.done()
        with stop_on_signal("the checkpoint that is being written") if saving else nullcontext():
            self._finish()
            self._thread.shutdown()
            self._orbax.close()
            if self._first:
                self._clear()  # what a write that failed has left behind since

    def news(self) -> list[str]:
        """Return what is to be said of checkpoints since the last call."""
        found = []
        with suppress(Empty):
            while True:
                found.append(self._news.get_nowait())
        return found

    @property
    def try_again(self) -> bool:
        """Whether the last checkpoint could not be written, and it is time for the next attempt."""
        idle = self._pending is None or self._pending.done()
        return bool(self._failures) and idle and time.monotonic() >= self._try_again

    def save(
        self, state: TrainState, loader: dict[str, Any], about: Mapping[str, Any] | None = None, announce: bool = False
    ) -> None:
        """Copy the state off the devices, then write it while training goes on.

        about: what the run is, as JSON values. announce: say when it is written. While the one before is still being
        written there is none of this step. Whatever keeps it from being written is told by `news`.
        """
        step = int(state.step)
        if step == self._written or self._busy(step):
            return
        self._step, self._announced = step, announce or self._failures > 0
        if error := self._refused():
            self._failed(error)
            return
        in_chunks = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=CHUNK_BYTES), state.params)
        items = ocp.args.Composite(
            params=ocp.args.StandardSave(state.params, in_chunks),
            optimizer=ocp.args.StandardSave({"step": state.step, "state": state.optimizer}),
            loader=ocp.args.JsonSave(loader),
            **{ABOUT: ocp.args.JsonSave(dict(about or {}))},
        )
        self._meeting.begin()
        try:
            self._orbax.save(self._partial, args=items, force=True)
        except (jax.errors.JaxRuntimeError, MemoryError):  # the machine's fault
            raise
        except Exception as error:
            self._fail_together(error)
            return
        self._pending = self._thread.submit(self._commit)

    def go_back(self) -> None:
        """Wait for the last write; what comes of it may be moved away, and steps that were written come again."""
        self._finish()
        self._written = -1

    def secure(self, state: TrainState, loader: dict[str, Any], about: Mapping[str, Any] | None = None) -> None:
        """Wait until the checkpoint of a step, the last, is written. Raise UserError if a few attempts fail."""
        for attempt in range(LAST_ATTEMPTS):
            if attempt:
                time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
                self.save(state, loader, about)
            self._finish()
            if self._written == int(state.step):
                return
        with mendable_writes(f"the checkpoint of step {self._step}", self._directory):
            raise self._error

    @property
    def _partial(self) -> Path:
        return self._directory / f"{self._step}{PARTIAL}"

    def _busy(self, step: int) -> bool:
        """Return whether a process is still writing the checkpoint before, for which it waits a while."""
        if self._pending is None:
            return False
        wait([self._pending], PATIENCE)
        busy = not self._pending.done()
        if any(texts_of_all("busy" if busy else "")):
            self._news.put(f"no checkpoint of step {step}: that of step {self._step} is still being written")
            return True
        self._finish()
        return False

    def _finish(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def _commit(self) -> None:
        """Wait for the files, write their manifest, and give the checkpoint its name; then remove those that go."""
        try:
            self._orbax.wait_until_finished()
            if self._first:
                write_manifest(self._partial, f"checkpoint of step {self._step}")
                self._partial.rename(self._directory / str(self._step))
                sync_directory(self._directory)
            self._meeting()
        except Exception as error:
            self._fail_together(error)
            return
        self._failures, self._written = 0, self._step
        if self._announced:
            self._news.put(f"the checkpoint of step {self._step} is written")
        if self._first:
            self._remove()

    def _refused(self) -> Exception | None:
        """Return why the first process cannot make a directory, which the others would wait for, or None."""
        error = None
        if self._first:
            try:
                self._partial.mkdir(exist_ok=True)
            except OSError as refused:
                error = refused
        [why, *_] = texts_of_all(trouble_in_words(error) if error else "")
        return error or (FailedElsewhere(f"process 0: {why}") if why else None)

    def _fail_together(self, error: Exception) -> None:
        """Let a save fail in the other processes too, unless it is there that it has failed."""
        if not isinstance(error, FailedElsewhere):
            self._meeting.fail(trouble_in_words(error))
        self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Note that a checkpoint is not written, and leave nothing of it."""
        pause = min(FIRST_WAIT * 2**self._failures, LONGEST_WAIT)
        self._error, self._failures, self._try_again = error, self._failures + 1, time.monotonic() + pause
        self._news.put(
            f"the checkpoint of step {self._step} is not written: {trouble_in_words(error)}; training goes on, and "
            f"tries again after {pause:.0f} s"
        )
        self._orbax = self._checkpointer()  # at its next save orbax would raise what is left of this failure
        if self._first:
            self._clear()

    def _clear(self) -> None:
        """Remove what is not a checkpoint: of a write or a removal that was cut short."""
        for path in self._directory.glob("[0-9]*.*"):  # orbax adds a suffix of its own
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self) -> None:
        """Remove the checkpoints that do not stay. One is renamed first: none is ever there in part."""
        written = {step: (self._directory / str(step)).stat().st_mtime for step in checkpoint_steps(self._directory)}
        for step in surplus(self._retention, self._keep, written):
            gone = self._directory / f"{step}{REMOVED}"
            try:
                (self._directory / str(step)).rename(gone)
                shutil.rmtree(gone)
            except OSError as error:
                self._news.put(f"the checkpoint of step {step} cannot be removed ({trouble_in_words(error)})")
