"""Checkpoints: parameters, optimizer and loader state, written in the background by orbax and whole or absent."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain, count
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import stop_on_signal
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.old_params import OLD_KEY, from_old, to_old
from baichuan_jax.train.finite import is_finite
from baichuan_jax.train.state import TrainState

PARAMS = "params"
CHUNK_BYTES = 2**25  # parameters are read by whole chunks: small ones let an export read a part of a matrix alone


class Checkpoints:
    """The checkpoints of one run, by step. A context manager: leaving waits for the last write.

    keep: how many to keep; None only reads. Raise UserError if there is nothing to read.
    """

    def __init__(self, directory: Path, keep: int | None = None):
        self._directory, reading = directory.absolute(), keep is None
        if reading and not directory.is_dir():
            raise self._none()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=not reading, enable_async_checkpointing=not reading
        )
        if not isinstance(sys.unraisablehook, _WithoutLeftovers):
            sys.unraisablehook = _WithoutLeftovers(sys.unraisablehook)
        with _quiet():
            self._manager = ocp.CheckpointManager(self._directory, options=options)
        self._saving = 0  # the step of the checkpoint that is being written, or was last
        if not reading:
            logging.getLogger("absl").setLevel(logging.CRITICAL)  # what orbax logs as an error, it raises too

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        lost = kind is not None and issubclass(kind, jax.errors.JaxRuntimeError) and jax.process_count() > 1
        if lost:  # to close is to wait for the other processes
            return
        saving = self._manager.is_saving_in_progress()
        with stop_on_signal("the checkpoint that is being written") if saving else nullcontext():
            self._finish()
            self._manager.close()

    def latest(self) -> int | None:
        """Return the step of the newest finished checkpoint."""
        return self._manager.latest_step()

    def newest(self) -> int:
        """Return the step of the newest finished checkpoint, which there must be."""
        step = self.latest()
        if step is None:
            raise self._none()
        return step

    def save(self, state: TrainState, loader: dict[str, Any]) -> None:
        """Copy the state off the devices, then writes it while training goes on."""
        self._finish()
        self._saving = int(state.step)
        in_chunks = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=CHUNK_BYTES), state.params)
        items = ocp.args.Composite(
            params=ocp.args.StandardSave(state.params, in_chunks),
            optimizer=ocp.args.StandardSave({"step": state.step, "state": state.optimizer}),
            loader=ocp.args.JsonSave(loader),
        )
        with self._mendable():
            self._manager.save(self._saving, args=items)

    def _finish(self) -> None:
        """Wait for the write in the background. Raise UserError if it found no room."""
        with self._mendable():
            self._manager.wait_until_finished()

    def _mendable(self) -> AbstractContextManager[None]:
        return mendable_writes(f"the checkpoint of step {self._saving}", self._directory)

    def restore(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any], list[str]]:
        """Return (state, loader state, which checkpoints were moved aside) of the newest one that can be read.

        The state is on the devices that `abstract` names. Newer ones are moved aside. Raise UserError if none can be
        read; then all stay where they are.
        """
        items = {PARAMS: abstract.params, "optimizer": {"step": abstract.step, "state": abstract.optimizer}}
        self.newest()
        unreadable: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._read(step, items, loader=ocp.args.JsonRestore())
                state = TrainState(found["optimizer"]["step"], found[PARAMS], found["optimizer"]["state"])
                why = "" if is_finite(state) else "it holds numbers that are not finite"
            except _Unreadable as error:
                why = str(error)
            if multihost_utils.process_allgather(np.array(why == "")).all():
                return state, found["loader"], self._set_aside(unreadable)
            unreadable[step] = why
        reasons = "; ".join(f"{step} ({why})" for step, why in unreadable.items())
        raise UserError(
            f"no checkpoint in {self._directory} can be read: {reasons}. All is as it was: restore one from a copy, or "
            "move the directory away to begin anew"
        )

    def restore_params(self, abstract: Params) -> Params:
        """Return the parameters of the newest checkpoint alone."""
        step = self.newest()
        try:
            return self._read(step, {PARAMS: abstract})[PARAMS]
        except _Unreadable as error:
            path = self._directory / str(step)
            raise UserError(
                f"checkpoint {path} cannot be read ({error}); move that directory away to use the one before it"
            ) from error

    def _set_aside(self, unreadable: dict[int, str]) -> list[str]:
        """Move checkpoints aside; return what to say of each."""
        told = []
        for step, why in unreadable.items():
            place = set_aside(self._directory, step) if jax.process_index() == 0 else ""
            told.append(f"checkpoint {self._directory / str(step)} cannot be read ({why}): it is kept as {place}")
        if unreadable:
            multihost_utils.sync_global_devices("checkpoints set aside")
            self._manager.reload()
        return told

    def _none(self) -> UserError:
        return UserError(f"no finished checkpoint in {self._directory}; train first: baichuan-jax train CONFIG")

    def _read(self, step: int, abstract: dict[str, Any], **others: Any) -> dict[str, Any]:
        """Return the items of a checkpoint, {name: tree}. abstract: of those that hold arrays. Raise _Unreadable."""
        with _quiet():
            try:
                metadata = (self._directory / str(step) / PARAMS / "_METADATA").read_text(encoding="utf-8")
                is_old = f"'{OLD_KEY}'" in metadata
                stored = to_old(abstract) if is_old else abstract
                items = {name: ocp.args.StandardRestore(tree) for name, tree in stored.items()}
                found = dict(self._manager.restore(step, args=ocp.args.Composite(**items, **others)))
                return from_old(found) if is_old else found
            except (jax.errors.JaxRuntimeError, MemoryError):  # the machine's fault
                raise
            except Exception as error:  # damaged files raise whatever their readers stumble over
                why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gc.collect()  # while nothing of what is left of the read is logged or warned of
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nor of what is left later
        raise _Unreadable(why)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the terminal what orbax writes about damaged files."""
    level = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(level)


class _WithoutLeftovers:
    """Python's hook for errors that nobody can catch, without those of what orbax left in flight when a part failed.

    They end whenever they do: it stays in place.
    """

    def __init__(self, before: Callable[[Any], object]):
        self._before = before

    def __call__(self, found: Any) -> None:
        code = getattr(found.object, "cr_code", None)
        if str(found.exc_value) != "Event loop is closed" and "orbax" not in getattr(code, "co_filename", ""):
            self._before(found)


class _Unreadable(Exception):
    """A checkpoint that cannot be read. The message says why."""


def set_aside(folder: Path, step: int) -> Path:
    """Move a checkpoint out of a training's folder of checkpoints, to one beside the training; return its new path."""
    aside = folder.parent.with_name(f"{folder.parent.name}-aside")
    aside.mkdir(exist_ok=True)
    names = chain([f"{step}"], (f"{step}.{number}" for number in count(2)))
    place = next(aside / name for name in names if not (aside / name).exists())
    return (folder / str(step)).rename(place)


def newest_params(directory: Path) -> Path:
    """Return where the parameters of the newest checkpoint lie."""
    with Checkpoints(directory) as checkpoints:
        return directory / str(checkpoints.newest()) / PARAMS
