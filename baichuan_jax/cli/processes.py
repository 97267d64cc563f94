"""Several processes that run one command together, and the options that tell how they find one another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext

from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.memory import within_memory
from baichuan_jax.core.process_group import SINGLE_PROCESS, ProcessGroup
from baichuan_jax.recipe.alike import facts
from baichuan_jax.recipe.run import Run
from baichuan_jax.recipe.table import STAGES


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what a verb takes that several processes may run together."""
    several = verb.add_argument_group("several processes", "on a cluster that JAX knows, none of these is needed")
    several.add_argument("--coordinator", default="", metavar="HOST:PORT", help="where the first process listens")
    several.add_argument("--processes", type=int, metavar="N", help="how many there are; 1: look for no others")
    several.add_argument("--process", type=int, metavar="I", help="the number of this one, from 0")
    several.add_argument(
        "--heartbeat",
        type=int,
        default=100,
        metavar="SECONDS",
        help="in which all have to come; and silence that means a process is dead",
    )


@contextmanager
def process_group(args: argparse.Namespace, names: Sequence[str], run: Run) -> Iterator[ProcessGroup]:
    """Yield the processes that build these stages; there is one where a stage is not for several, or all are done."""
    several = all(STAGES[name].multi_process for name in names)
    if not several or all(run.pipeline.stage(name).complete() for name in names):
        yield SINGLE_PROCESS
        return
    from baichuan_jax.parallel.processes import Start, joined  # brings jax in

    start = Start(args.coordinator, args.processes, args.process, args.heartbeat)
    with ExitStack() as stack:
        waiting = f"process {start.process} of {start.processes} waits for the others, the first at {start.coordinator}"
        with run.progress.status(waiting) if start.coordinator else nullcontext():
            found = joined(start, lambda: facts(run.pipeline, names), run.pipeline.workdir)
            processes = stack.enter_context(found)
        with (
            mendable_writes("the run", run.pipeline.workdir),
            within_memory(f"`{args.verb}`", "let it do less at once"),
        ):
            yield processes
