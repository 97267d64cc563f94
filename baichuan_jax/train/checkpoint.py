"""Checkpoints: parameters, optimizer and loader state, written in the background by orbax and whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from baichuan_jax.core.errors import UserError
from baichuan_jax.model.decoder import Params
from baichuan_jax.model.old_params import OLD_KEY, from_old, to_old
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
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        lost = kind is not None and issubclass(kind, jax.errors.JaxRuntimeError) and jax.process_count() > 1
        if not lost:  # to close is to wait for the other processes
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
        in_chunks = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=CHUNK_BYTES), state.params)
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(state.params, in_chunks),
                optimizer=ocp.args.StandardSave({"step": state.step, "state": state.optimizer}),
                loader=ocp.args.JsonSave(loader),
            ),
        )

    def restore(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Return (state, loader state) of the newest checkpoint, on the devices that `abstract` names."""
        optimizer = {"step": abstract.step, "state": abstract.optimizer}
        found = self._restore({PARAMS: abstract.params, "optimizer": optimizer}, loader=ocp.args.JsonRestore())
        optimizer = found["optimizer"]
        return TrainState(optimizer["step"], found[PARAMS], optimizer["state"]), found["loader"]

    def restore_params(self, abstract: Params) -> Params:
        """Return the parameters of the newest checkpoint alone."""
        return self._restore({PARAMS: abstract})[PARAMS]

    def _none(self) -> UserError:
        return UserError(f"no finished checkpoint in {self._directory}; train first: baichuan-jax train CONFIG")

    def _restore(self, abstract: dict[str, Any], **others: Any) -> dict[str, Any]:
        """Return the items of the newest checkpoint, {name: tree}. abstract: of those that hold arrays."""
        step = self.newest()
        try:
            is_old = f"'{OLD_KEY}'" in (self._directory / str(step) / PARAMS / "_METADATA").read_text(encoding="utf-8")
            stored = to_old(abstract) if is_old else abstract
            items = {name: ocp.args.StandardRestore(tree) for name, tree in stored.items()}
            found = dict(self._manager.restore(step, args=ocp.args.Composite(**items, **others)))
            return from_old(found) if is_old else found
        except (ValueError, KeyError, OSError) as error:
            first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"checkpoint {self._directory / str(step)} cannot be read ({first_line}); delete that directory to go "
                "on from the one before"
            ) from error


def newest_params(directory: Path) -> Path:
    """Return where the parameters of the newest checkpoint lie."""
    with Checkpoints(directory) as checkpoints:
        return directory / str(checkpoints.newest()) / PARAMS
