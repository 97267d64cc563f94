"""What a sweep will take, before it is begun."""

from __future__ import annotations

from pathlib import Path

from baichuan_jax.core.files import read_json
from baichuan_jax.lab.numbers import duration, short
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.sweep.plan import Plan
from baichuan_jax.recipe.sweep.runner import points_at_once
from baichuan_jax.recipe.sweep.state import States

ASSUMED = 0.3  # share of the machine's peak that training makes use of, where no run has shown it
STATE_BYTES = 12  # of a parameter in a checkpoint: float32 weight and two moments


def estimate(plan: Plan) -> list[str]:
    """Return the work, the time and the disk space that the points still to come will take, a line each."""
    from baichuan_jax.model.decoder import parameter_count  # brings jax in

    states = States(plan.directory)
    to_come = [point for point in plan.points if states.now(point.name) != "done"]
    configs = [plan.config_of(point) for point in to_come]
    flops = sum(map(training_flops, configs))
    at_once = points_at_once(plan)
    lines = [
        f"{len(to_come)} of {len(plan.points)} points to come, {at_once} at once; {short(flops, 'FLOPs')} of training"
    ]
    if not configs:
        return lines
    size = STATE_BYTES * max(parameter_count(config.model) * config.train.keep for config in configs)
    kept = len(to_come) if plan.cfg.keep == "all" else at_once + _seeds(plan)
    lines.append(f"disk: about {short(kept * size, 'B')} of checkpoints at once, beside tokens of the corpus")
    seconds, source = _seconds(plan, flops, at_once)
    lines.append(
        f"time: about {duration(seconds)}, {source}; stages before training come on top where they are not made"
    )
    return lines


def training_flops(config: RunConfig) -> float:
    """Return the floating-point operations of a training, forward and backward."""
    from baichuan_jax.model.flops import flops_per_token

    cfg = config.train
    return cfg.steps * cfg.batch * cfg.length * flops_per_token(config.model, cfg.length, causal=False)


def _seeds(plan: Plan) -> int:
    from baichuan_jax.recipe.sweep.results import ranked, rows_of

    return max(len(group.rows) for group in ranked(plan, rows_of(plan)))


def _seconds(plan: Plan, flops: float, at_once: int) -> tuple[float, str]:
    """Return the seconds that so many FLOPs take, and what that is taken from."""
    states = States(plan.directory)
    done = [point for point in plan.points if states.now(point.name) == "done"]
    if done:
        spent = sum(states.read(point.name).seconds for point in done)
        rate = sum(training_flops(plan.config_of(point)) for point in done) / spent
        return flops / rate / at_once, f"as the {len(done)} points that are done took"
    result = Path(plan.config.base or plan.config.workdir) / "train" / "result.json"
    if result.is_file() and "mfu_full" in (found := read_json(result)):
        return flops / (found["mfu_full"] * found["peak_flops"]), f"at the speed of {result.parent}"
    import jax

    from baichuan_jax.train.throughput import peak_flops

    peak, _ = peak_flops(jax.devices())
    return flops / (ASSUMED * peak), f"at {ASSUMED:.0%} of this machine's peak, which is assumed"
