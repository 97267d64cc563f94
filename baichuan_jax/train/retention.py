"""Which checkpoints go: those that are neither among the newest nor kept for good."""

from __future__ import annotations

from collections.abc import Mapping

from baichuan_jax.train.config import RetentionConfig


def surplus(cfg: RetentionConfig, newest: int, written: Mapping[int, float]) -> list[int]:
    """Return the steps of the checkpoints that go, in order.

    newest: how many of the newest stay in any case. written: {step: when, in seconds} of all there are.
    """
    steps = sorted(written)
    kept = set(steps[-newest:])
    if cfg.every:
        kept |= {step for step in steps if step % cfg.every == 0}
    if cfg.minutes:
        mark = float("-inf")
        for step in steps:
            if written[step] - mark >= 60 * cfg.minutes:
                mark = written[step]
                kept.add(step)
    return [step for step in steps if step not in kept]
