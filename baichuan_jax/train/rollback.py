"""Going back to the checkpoint before a spike, and on without the batches that made it; all of that is on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_json
from baichuan_jax.core.metrics import REJECTED, read_rejected
from baichuan_jax.train.checkpoint import set_aside
from baichuan_jax.train.config import CHECKPOINTS, SpikeConfig, checkpoint_steps
from baichuan_jax.train.finite import Diverged
from baichuan_jax.train.input import AnyBatches


def rejected_draws(directory: Path) -> list[int]:
    """Return the places of the rejected batches in the sequence of all."""
    return [draw for record in read_rejected(directory) for draw in record["draws"]]


def roll_back(cfg: SpikeConfig, directory: Path, batches: AnyBatches, found: Diverged) -> str:
    """Move the checkpoints after a spike aside and reject its batches; return what to say of it.

    The batch before it is rejected too: the loss of a step is that of the state before, which that batch made. Raise
    UserError if training went back as often as it may. No checkpoint is being written.
    """
    folder, known = directory / CHECKPOINTS, read_rejected(directory)
    if len(known) >= cfg.rollbacks:
        raise UserError(
            f"{found}, and training went back {len(known)} times before (SpikeConfig.rollbacks). It is not the batches "
            f"then: lower OptimConfig.peak_lr, look at the text of that step (baichuan-jax data replay), or raise "
            f"SpikeConfig.score or rollbacks. The last good checkpoint is that of step {_before(folder, found)}",
            "loss spike",
        )
    back_to = _before(folder, found)
    steps = [step for step in (found.step - 1, *found.steps) if step > back_to]
    record = {
        "steps": steps,
        "draws": [batches.draw(step - 1) for step in steps],
        "why": str(found),
        "back_to": back_to,
    }
    if jax.process_index() == 0:  # a crash between the two lets the same spike come again, which is then found again
        for step in checkpoint_steps(folder):
            if step > back_to:
                set_aside(folder, step)
        write_json(directory / REJECTED, [*known, record])
    multihost_utils.sync_global_devices("rolled back")
    return (
        f"{found}: the batches of steps {_listed(steps)} are rejected, and training goes on from step {back_to} "
        f"(time {len(known) + 1} of {cfg.rollbacks})"
    )


def _before(folder: Path, found: Diverged) -> int:
    """Return the step of the newest checkpoint from before a spike, 0 if there is none."""
    steps = checkpoint_steps(folder)
    surely = [step for step in steps if step <= found.last_good]
    return max(surely or [step for step in steps if step < found.step], default=0)


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps))
