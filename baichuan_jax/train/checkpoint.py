"""Checkpoints: parameters, optimizer, loader state and what the run was, verified before they are used."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from baichuan_jax.core.checksums import Damaged, verify
from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import read_json
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.old_params import OLD_KEY, from_old, to_old
from baichuan_jax.train.agreement import texts_of_all
from baichuan_jax.train.config import ITEM, aside_of, checkpoint_steps, no_checkpoint
from baichuan_jax.train.finite import is_finite
from baichuan_jax.train.quiet import ignore_leftovers, quiet
from baichuan_jax.train.state import TrainState

PARAMS, OPTIMIZER, LOADER, ABOUT = "params", "optimizer", "loader", "about"  # the folders of a checkpoint


class Checkpoints:
    """The finished checkpoints of one run, by step, to read. A context manager.

    One with a manifest is used only if its files match it. One without, of older code or another tool, is used as it
    is. Raise UserError if there is no such directory.
    """

    def __init__(self, directory: Path):
        self._directory = directory.absolute()
        if not directory.is_dir():
            raise self._none()
        ignore_leftovers()
        with quiet():
            self._reader = ocp.Checkpointer(ocp.CompositeCheckpointHandler())

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def newest(self) -> int:
        """Return the step of the newest finished checkpoint, which there must be."""
        steps = checkpoint_steps(self._directory)
        if not steps:
            raise self._none()
        return steps[-1]

    def restore(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any], list[str]]:
        """Return (state, loader state, which checkpoints were moved aside) of the newest one that can be used.

        The state is on the devices that `abstract` names. Newer ones are moved aside. Raise UserError if none can be
        used; then all stay where they are. Each of several processes verifies its share of the files.
        """
        items = {PARAMS: abstract.params, OPTIMIZER: {"step": abstract.step, "state": abstract.optimizer}}
        self.newest()
        unusable: dict[int, str] = {}
        for step in reversed(checkpoint_steps(self._directory)):
            why, _ = self._agreed(self._verify, step, "", jax.process_index(), jax.process_count())
            if not why:
                why, found = self._agreed(self._state, step, items)
            if not why:
                return *found, self._set_aside(unusable)
            unusable[step] = why
        reasons = "; ".join(f"{step} ({why})" for step, why in unusable.items())
        raise UserError(
            f"no checkpoint in {self._directory} can be read: {reasons}. All is as it was: restore one from a copy, or "
            "move the directory away to begin anew"
        )

    def restore_params(self, abstract: Params) -> Params:
        """Return the parameters of the newest checkpoint alone."""
        step = self.newest()
        why, _ = self._agreed(self._verify, step, PARAMS, jax.process_index(), jax.process_count())
        if not why:
            why, found = self._agreed(self._read, step, {PARAMS: abstract})
        if why:
            raise self._unusable(step, why)
        return found[PARAMS]

    def verified_params(self) -> Path:
        """Return where the parameters of the newest checkpoint lie, which match its manifest."""
        step = self.newest()
        try:
            self._verify(step, PARAMS)
        except _Unusable as error:
            raise self._unusable(step, str(error)) from None
        return self._directory / str(step) / PARAMS

    def _verify(self, step: int, under: str, part: int = 0, parts: int = 1) -> None:
        try:
            verify(self._directory / str(step), under, part, parts)
        except Damaged as error:
            raise _Unusable(str(error)) from None

    def _state(self, step: int, items: dict[str, Any]) -> tuple[TrainState, dict[str, Any]]:
        found = self._read(step, items, loader=ocp.args.JsonRestore())
        state = TrainState(found[OPTIMIZER]["step"], found[PARAMS], found[OPTIMIZER]["state"])
        if not is_finite(state):
            raise _Unusable("it holds numbers that are not finite")
        return state, found[LOADER]

    @staticmethod
    def _agreed(act: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
        """Return (why one of the processes cannot use a checkpoint, "" if all of them can; what `act` has found)."""
        why, found = "", None
        try:
            found = act(*arguments)
        except _Unusable as error:
            why = str(error)
        return next(filter(None, texts_of_all(why)), ""), found

    def _set_aside(self, unusable: dict[int, str]) -> list[str]:
        """Move checkpoints aside; return what to say of each."""
        told = []
        for step, why in unusable.items():
            place = set_aside(self._directory, step) if jax.process_index() == 0 else ""
            told.append(f"checkpoint {self._directory / str(step)} cannot be read ({why}): it is kept as {place}")
        if unusable:
            multihost_utils.sync_global_devices("checkpoints set aside")
        return told

    def _unusable(self, step: int, why: str) -> UserError:
        path = self._directory / str(step)
        return UserError(f"checkpoint {path} cannot be read ({why}); move that directory away to use the one before it")

    def _none(self) -> UserError:
        return UserError(no_checkpoint(self._directory))

    def _read(self, step: int, abstract: dict[str, Any], **others: Any) -> dict[str, Any]:
        """Return the items of a checkpoint, {name: tree}. abstract: of those that hold arrays. Raise _Unusable."""
        path = self._directory / str(step)
        with quiet():
            try:
                metadata = (path / PARAMS / "_METADATA").read_text(encoding="utf-8")
                is_old = f"'{OLD_KEY}'" in metadata
                stored = to_old(abstract) if is_old else abstract
                items = {name: ocp.args.StandardRestore(tree) for name, tree in stored.items()}
                found = dict(self._reader.restore(path, args=ocp.args.Composite(**items, **others)))
                return from_old(found) if is_old else found
            except (jax.errors.JaxRuntimeError, MemoryError):  # the machine's fault
                raise
            except Exception as error:  # damaged files raise whatever their readers stumble over
                why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gc.collect()  # while nothing of what is left of the read is logged or warned of
        raise _Unusable(why)


def read_about(folder: Path, step: int) -> dict[str, Any]:
    """Return what the checkpoint of a step says of the run, {} without one, or if older code wrote it."""
    file = folder / str(step) / ABOUT / ITEM
    return read_json(file) if file.is_file() else {}


def readable_abouts(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what checkpoints say of the run, from the newest on, without those whose record is damaged."""
    for step in reversed(checkpoint_steps(folder)):
        with suppress(ValueError, OSError):  # the restore will find it
            yield read_about(folder, step)


class _Unusable(Exception):
    """A checkpoint that cannot be used. The message says why."""


def set_aside(folder: Path, step: int) -> Path:
    """Move a checkpoint out of a training's folder of checkpoints, to one beside the training; return its new path."""
    aside = aside_of(folder)
    aside.mkdir(exist_ok=True)
    names = chain([f"{step}"], (f"{step}.{number}" for number in count(2)))
    place = next(aside / name for name in names if not (aside / name).exists())
    return (folder / str(step)).rename(place)


def newest_params(directory: Path) -> Path:
    """Return where the parameters of the newest checkpoint lie, which match its manifest."""
    with Checkpoints(directory) as checkpoints:
        return checkpoints.verified_params()
