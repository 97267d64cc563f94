"""The command line of one process of a run that is to be disturbed: python -m tests.chaos.child PLAN LOG VERB ...

It notes in a log what it does, and kills itself, fills its disk or spoils its state at the moment that a plan names.
"""

import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import jax
import numpy as np
import orbax.checkpoint as ocp
import xxhash

from baichuan_jax.cli.main import leave, main
from baichuan_jax.train import checkpoint, loop, saving
from baichuan_jax.train.batch_hashes import BatchHashes, in_hexadecimal, row_hashes

SMALL = 30_000  # bytes: less than the arrays of a checkpoint, more than a log


@dataclass(frozen=True)
class Plan:
    """What is to happen to a process, and when.

    fault: 'kill', 'full' or 'nan'; '' for none. moment: 'step', 'save', 'commit', 'clean-up', 'restore' or
    'moving aside'. occurrence: at which moment of this name, from 1. event: at which system call on files in it, from
    1; 0: after `seconds` of it. At its end at the latest.
    """

    fault: str = ""
    moment: str = ""
    occurrence: int = 1
    event: int = 0
    seconds: float = 0.0


class Fault:
    """Does what a plan says, and keeps the log."""

    def __init__(self, plan: Plan, log: str):
        self.plan, self._log = plan, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._counts: Counter[str] = Counter()
        self._armed, self._events = False, 0
        sys.addaudithook(self._audit)

    def note(self, what: str, **more) -> None:
        """Append a line to the log; it outlives a SIGKILL."""
        os.write(self._log, json.dumps({"what": what, **more}).encode() + b"\n")

    @contextmanager
    def moment(self, name: str):
        """Name what is done in a block."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave(name)

    def enter(self, name: str) -> None:
        """Begin a moment."""
        self._counts[name] += 1
        if (name, self._counts[name]) != (self.plan.moment, self.plan.occurrence) or not self.plan.fault:
            return
        if self.plan.fault == "full":
            self.note("full")
            resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))
        elif self.plan.fault == "kill":
            self._armed = True
            if not self.plan.event:
                timer = threading.Timer(self.plan.seconds, self._kill, ["in time"])
                timer.daemon = True
                timer.start()

    def leave(self, name: str) -> None:
        """End a moment."""
        if name == self.plan.moment and self._armed:
            self._kill("end")
        if name == self.plan.moment and self.plan.fault == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _audit(self, event: str, arguments: tuple) -> None:
        if self._armed and self.plan.event and (event == "open" or event.startswith(("os.", "shutil."))):
            self._events += 1
            if self._events == self.plan.event:
                self._kill(event)

    def _kill(self, event: str) -> None:
        self._armed = False
        self.note("killed", at=event, **asdict(self.plan))
        os.kill(os.getpid(), signal.SIGKILL)


def watch(fault: Fault) -> None:
    """Have the parts of training say when they begin and end."""
    restore, set_aside = checkpoint.Checkpoints.restore, checkpoint.set_aside
    save, commit = saving.CheckpointWriter.save, saving.CheckpointWriter._commit
    wait, secure = ocp.AsyncCheckpointer.wait_until_finished, saving.CheckpointWriter.secure
    add, place = BatchHashes.add, loop.place

    def restored(self, abstract):
        with fault.moment("restore"):
            state, loader, told = restore(self, abstract)
        fault.note("restored", step=int(state.step), hash=state_hash(state))
        return state, loader, told

    def moved(folder, step):
        with fault.moment("moving aside"):
            return set_aside(folder, step)

    def saved(self, *arguments, **options):
        fault.enter("save")
        return save(self, *arguments, **options)

    def waited(self):
        try:
            wait(self)
        finally:
            if threading.current_thread().name.startswith("checkpoint"):  # orbax waits before a save too
                fault.leave("save")
                fault.enter("commit")

    def committed(self):
        try:
            commit(self)
        finally:
            fault.leave("commit")

    def tidied(tidy):
        def tidy_up(self):
            fault.leave("commit")
            with fault.moment("clean-up"):
                tidy(self)

        return tidy_up

    def added(self, step, batch):
        fault.note("step", step=step, hash=in_hexadecimal(row_hashes(batch, self._rows).sum(0, dtype=np.uint32)))
        add(self, step, batch)

    def placed(*arguments):
        fault.leave("step")
        fault.enter("step")
        return place(*arguments)

    def secured(self, state, *arguments):
        secure(self, state, *arguments)
        fault.note("final", step=int(state.step), hash=state_hash(state))

    checkpoint.Checkpoints.restore, checkpoint.set_aside = restored, moved
    saving.CheckpointWriter.save, saving.CheckpointWriter._commit = saved, committed
    saving.CheckpointWriter.secure, ocp.AsyncCheckpointer.wait_until_finished = secured, waited
    for name in ("_clear", "_remove"):
        setattr(saving.CheckpointWriter, name, tidied(getattr(saving.CheckpointWriter, name)))
    BatchHashes.add, loop.place = added, placed
    if fault.plan.fault == "nan":
        loop.make_step = lambda *arguments, made=loop.make_step: Spoiled(made(*arguments), fault)


class Spoiled:
    """A train step whose gradient is no number once: as after any such step, the parameters are none either."""

    def __init__(self, step, fault: Fault):
        self._step, self._fault, self._compiled, self._spoiled = step, fault, None, False

    def lower(self, *abstract):
        """Return what is compiled."""
        self._compiled = self._step.lower(*abstract).compile()
        return self

    def compile(self):
        """Return what is called."""
        return self

    def __call__(self, state, batch):
        state, values = self._compiled(state, batch)
        if int(state.step) == self._fault.plan.occurrence and not self._spoiled:
            self._spoiled = True  # training may go back, and do this step again on another batch
            self._fault.note("spoiled", step=int(state.step))
            state = state._replace(params=jax.tree.map(lambda x: x * np.nan, state.params))
        return state, values

    def __getattr__(self, name: str):
        return getattr(self._compiled, name)


def state_hash(state) -> str:
    """Return a hash of what this process holds of a state: parameters, moments and counts."""
    hasher = xxhash.xxh3_128()
    for leaf in jax.tree.leaves(state):
        for shard in leaf.addressable_shards:
            hasher.update(np.asarray(shard.data).tobytes())
    return hasher.hexdigest()


if __name__ == "__main__":
    watched = Fault(Plan(**json.loads(sys.argv[1])), sys.argv[2])
    watch(watched)
    leave(main(sys.argv[3:]))
