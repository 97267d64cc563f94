"""The section on training: loss, learning rate, gradient norm, speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, PercentFormatter

from baichuan_jax.lab.markup import Html, table, tag
from baichuan_jax.lab.numbers import duration, short
from baichuan_jax.lab.outcome import on_the_way
from baichuan_jax.lab.page import Canvas
from baichuan_jax.lab.plots import BLUE, Plot, curves
from baichuan_jax.lab.run_files import RunRecord


def training(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return curves against steps, then the final numbers, or those of the last step so far."""
    result, window = run.results.get("train"), 3 + 2 * (len(run.steps) // 40)
    if result and result["steps"] == 0:
        return [tag("p", "No step was taken: the weights are those the run starts from.", class_="note")]
    notes = {
        "loss": f"Thin: as logged. Thick: mean of {window} records around each.",
        "throughput": "Evaluations and checkpoints are left out of the time.",
    }
    if result:
        notes["mfu"] = f"Share of a peak of {short(result['peak_flops'], 'FLOP/s')} ({result['peak_source']})."
    plots = [*(on_the_way(run) if "evaluate" not in run.results else ()), *_plots(run, window)]
    caption = "Summary; speeds are medians over the run" if result else "So far"
    facts = _facts(result) if result else _facts_so_far(run)
    changes = [[change[key] for key in ("step", "setting", "before", "after")] for change in run.changes]
    return [
        canvas.figures(*plots, notes=notes),
        table(caption, ["quantity", "value"], facts),
        *_rejected(run),
        *_wall_time(run),
        *([table("Changed on the way", ["after step", "setting", "before", "then"], changes)] if changes else []),
    ]


def _rejected(run: RunRecord) -> list[Html]:
    """Return the batches that training went back for, and goes on without."""
    rows = [[", ".join(map(str, each["steps"])), each["why"], str(each["back_to"])] for each in run.rejected]
    return [table("Rejected batches", ["steps", "why", "went back to step"], rows)] if rows else []


def _wall_time(run: RunRecord) -> list[Html]:
    """Return where the wall time went, across restarts."""
    if run.goodput is None:
        return []
    found = run.goodput.record()
    rows = [[part, duration(seconds), f"{found['shares'][part]:.1%}"] for part, seconds in found["seconds"].items()]
    return [table(f"Wall time of training, in {found['starts']} starts", ["part", "time", "share"], rows)]


def _facts_so_far(run: RunRecord) -> list[list[str]]:
    last = run.steps[-1]
    return [
        ["steps", f"{last['step']:,} of {run.number('TrainConfig.steps'):,}"],
        ["loss, nats per token", f"{last['loss']:.4f}"],
        ["tokens per second", f"{last['tokens_per_second']:,.0f}"],
    ]


def _facts(result: dict) -> list[list[str]]:
    measured = "peak_memory_bytes" in result
    return [
        ["loss at the end, nats per token", f"{result['loss']:.4f}"],
        ["tokens per second", f"{result['tokens_per_second']:,.0f}"],
        ["tokens per second and device", f"{result['tokens_per_second_per_device']:,.0f}"],
        ["MFU, attention in full", f"{result['mfu_full']:.1%}"],
        ["MFU, causal half of attention", f"{result['mfu_causal']:.1%}"],
        ["HFU, with what is computed again", f"{result['hfu']:.1%}"],
        ["memory of a device that the step was compiled to take", _gib(result["step_memory_bytes"])],
        *([["most memory in use on a device", _gib(result["peak_memory_bytes"])]] if measured else []),
        ["parameters", f"{result['parameters']:,}"],
        ["steps", f"{result['steps']:,}"],
        ["tokens", f"{result['tokens']:,}"],
        ["device", result["device"]],
        ["mesh", " × ".join(f"{axis} {size}" for axis, size in result["mesh"].items())],
    ]


def _plots(run: RunRecord, window: int) -> list[Plot]:
    first, last = run.steps[0], run.steps[-1]
    return [
        Plot(
            "loss",
            "Training loss",
            f"Training loss against steps: {first['loss']:.3f} at step {first['step']}, "
            f"{last['loss']:.3f} at step {last['step']}.",
            partial(_loss, run=run, window=window),
        ),
        Plot(
            "learning_rate",
            "Learning rate",
            f"Learning rate against steps, at most {max(record['learning_rate'] for record in run.steps):.2e}.",
            _curve(run, {"learning rate": "learning_rate"}, "learning rate"),
        ),
        Plot(
            "gradient_norm",
            "Gradient norm before clipping",
            f"Gradient norm against steps, at the end {last['grad_norm']:.3f}.",
            _curve(run, {"gradient norm": "grad_norm"}, "norm"),
        ),
        Plot(
            "throughput",
            "Throughput",
            f"Tokens per second against steps, median {_median(run, 'tokens_per_second'):,.0f}.",
            _curve(run, {"throughput": "tokens_per_second"}, "tokens per second", EngFormatter(sep="")),
        ),
        Plot(
            "mfu",
            "Model FLOPs utilisation",
            f"MFU against steps, median {_median(run, 'mfu_full'):.1%} with attention counted in full, "
            f"{_median(run, 'mfu_causal'):.1%} with its causal half.",
            _curve(run, {"attention in full": "mfu_full", "causal half": "mfu_causal"}, "MFU", PercentFormatter(1.0)),
        ),
    ]


def _median(run: RunRecord, key: str) -> float:
    return float(np.median([record[key] for record in run.steps]))


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def _loss(axes: Axes, run: RunRecord, window: int) -> None:
    steps, losses = ([record[key] for record in run.steps] for key in ("step", "loss"))
    axes.plot(steps, losses, color=BLUE, alpha=0.45, linewidth=0.8)
    curves(axes, {"loss": (steps, smooth(losses, window))}, "nats per token", run.tokens_per_step)


def _curve(run: RunRecord, series: dict[str, str], unit: str, ticks: EngFormatter | None = None):
    """Return a function that draws fields of the step records on an axis from zero."""
    steps = [record["step"] for record in run.steps]
    lines = {label: (steps, [record[key] for record in run.steps]) for label, key in series.items()}

    def paint(axes: Axes) -> None:
        curves(axes, lines, unit, run.tokens_per_step, from_zero=True)
        if ticks:
            axes.yaxis.set_major_formatter(ticks)

    return paint


def smooth(values: Sequence[float], window: int) -> np.ndarray:
    """Return the moving average over `window` (odd) values, with shorter windows at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - window // 2, 0), np.minimum(places + window // 2 + 1, len(values))
    return (total[last] - total[first]) / (last - first)
